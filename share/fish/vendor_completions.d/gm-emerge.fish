# Completion of gm-emerge for fish; made by python -m gentoomuch_portage.cli.docs. Emerge's options are those of Portage 3.0.83.
complete -c gm-emerge -l gm-profile -x -a '(gentoomuch profile ls --names 2>/dev/null)' -d 'build for this machine (also GM_PROFILE, or as NAME-emerge)'
complete -c gm-emerge -l gm-config -x -a '(__fish_complete_directories)' -d 'configuration instead of /etc/gentoomuch (also GM_CONFIG)'
complete -c gm-emerge -l gm-state -x -a '(__fish_complete_directories)' -d 'state instead of /var/lib/gentoomuch (also GM_STATE)'
complete -c gm-emerge -l gm-cache -x -a '(__fish_complete_directories)' -d 'cache instead of /var/cache/gentoomuch (also GM_CACHE)'
complete -c gm-emerge -l gm-explain -a 'json' -d 'print the plan and do nothing'
complete -c gm-emerge -l gm-plan -x -a '(__fish_complete_path)' -d 'run a printed plan; - is stdin'
complete -c gm-emerge -l gm-isolation -x -d 'none, auto, or a kind of container'
complete -c gm-emerge -l gm-unmask -x -d 'unmask only keywords, live, use, license, mask; or none'
complete -c gm-emerge -l gm-locked -d 'fail where something new would be unmasked'
complete -c gm-emerge -l gm-trust -x -d 'allow the .gentoo folder of this ID, in this run; ID:security for its security masks as well'
complete -c gm-emerge -l gm-no -x -d 'leave plugins out'
complete -c gm-emerge -l gm-json -x -a '(__fish_complete_path)' -d 'write what happens to a file, a line an event; - is stdout, and what emerge says goes to stderr'
complete -c gm-emerge -l gm-help -d 'these words alone'
complete -c gm-emerge -l gm-version -d 'our version alone'
complete -c gm-emerge -l accept-properties -x
complete -c gm-emerge -l accept-restrict -x
complete -c gm-emerge -l alert -s A -a 'y n'
complete -c gm-emerge -l alphabetical
complete -c gm-emerge -l ask -s a -a 'y n'
complete -c gm-emerge -l ask-enter-invalid
complete -c gm-emerge -l autounmask -a 'y n'
complete -c gm-emerge -l autounmask-backtrack -a 'y n'
complete -c gm-emerge -l autounmask-continue -a 'y n'
complete -c gm-emerge -l autounmask-keep-keywords -a 'y n'
complete -c gm-emerge -l autounmask-keep-masks -a 'y n'
complete -c gm-emerge -l autounmask-license -a 'y n'
complete -c gm-emerge -l autounmask-only -a 'y n'
complete -c gm-emerge -l autounmask-unrestricted-atoms -a 'y n'
complete -c gm-emerge -l autounmask-use -a 'y n'
complete -c gm-emerge -l autounmask-write -a 'y n'
complete -c gm-emerge -l backtrack -x
complete -c gm-emerge -l binpkg-changed-deps -a 'y n'
complete -c gm-emerge -l binpkg-respect-use -a 'y n'
complete -c gm-emerge -l binpkg-respect-user-patches -a 'y n'
complete -c gm-emerge -l buildpkg -s b -a 'y n'
complete -c gm-emerge -l buildpkg-exclude -x
complete -c gm-emerge -l buildpkgonly -s B
complete -c gm-emerge -l changed-deps -a 'y n'
complete -c gm-emerge -l changed-deps-report -a 'y n'
complete -c gm-emerge -l changed-slot -a 'y n'
complete -c gm-emerge -l changed-use -s U
complete -c gm-emerge -l check-news
complete -c gm-emerge -l circular-deps-report -a 'text json'
complete -c gm-emerge -l clean
complete -c gm-emerge -l color -a 'y n'
complete -c gm-emerge -l columns -l cols
complete -c gm-emerge -l complete-graph -a 'y n'
complete -c gm-emerge -l complete-graph-if-new-use -a 'y n'
complete -c gm-emerge -l complete-graph-if-new-ver -a 'y n'
complete -c gm-emerge -l config
complete -c gm-emerge -l config-root -x
complete -c gm-emerge -l debug -s d
complete -c gm-emerge -l deep -s D -x
complete -c gm-emerge -l depclean -s c
complete -c gm-emerge -l depclean-lib-check -a 'y n'
complete -c gm-emerge -l deselect -s W -a 'y n'
complete -c gm-emerge -l digest
complete -c gm-emerge -l dynamic-deps -a 'y n'
complete -c gm-emerge -l emptytree -s e
complete -c gm-emerge -l exclude -s X -x
complete -c gm-emerge -l fail-clean -a 'y n'
complete -c gm-emerge -l fetch-all-uri -s F
complete -c gm-emerge -l fetchonly -s f
complete -c gm-emerge -l fuzzy-search -a 'y n'
complete -c gm-emerge -l getbinpkg -s g -a 'y n'
complete -c gm-emerge -l getbinpkg-exclude -x
complete -c gm-emerge -l getbinpkg-include -x
complete -c gm-emerge -l getbinpkgonly -s G -a 'y n'
complete -c gm-emerge -l help -s h
complete -c gm-emerge -l ignore-built-slot-operator-deps -a 'y n'
complete -c gm-emerge -l ignore-default-opts
complete -c gm-emerge -l ignore-soname-deps -a 'y n'
complete -c gm-emerge -l ignore-world -a 'y n'
complete -c gm-emerge -l implicit-system-deps -a 'y n'
complete -c gm-emerge -l info
complete -c gm-emerge -l jobs -s j -x
complete -c gm-emerge -l jobs-tmpdir-require-free-gb -x
complete -c gm-emerge -l keep-going -a 'y n'
complete -c gm-emerge -l list-sets
complete -c gm-emerge -l load-average -s l -x
complete -c gm-emerge -l merge-wait-scope -a 'deep system toolchain none'
complete -c gm-emerge -l metadata
complete -c gm-emerge -l misspell-suggestions -a 'y n'
complete -c gm-emerge -l moo
complete -c gm-emerge -l newrepo
complete -c gm-emerge -l newuse -s N
complete -c gm-emerge -l nobindeps
complete -c gm-emerge -l noconfmem
complete -c gm-emerge -l nodeps -s O
complete -c gm-emerge -l noreplace -s n
complete -c gm-emerge -l nospinner
complete -c gm-emerge -l oneshot -s 1
complete -c gm-emerge -l onlydeps -s o
complete -c gm-emerge -l onlydeps-with-ideps -a 'y n'
complete -c gm-emerge -l onlydeps-with-rdeps -a 'y n'
complete -c gm-emerge -l package-moves -a 'y n'
complete -c gm-emerge -l pkg-format -x
complete -c gm-emerge -l prefix -x
complete -c gm-emerge -l pretend -s p
complete -c gm-emerge -l prune -s P
complete -c gm-emerge -l quickpkg-direct -a 'y n'
complete -c gm-emerge -l quickpkg-direct-root -x
complete -c gm-emerge -l quiet -s q -a 'y n'
complete -c gm-emerge -l quiet-build -a 'y n'
complete -c gm-emerge -l quiet-fail -a 'y n'
complete -c gm-emerge -l quiet-repo-display
complete -c gm-emerge -l quiet-unmerge-warn
complete -c gm-emerge -l rage-clean
complete -c gm-emerge -l read-news -a 'y n'
complete -c gm-emerge -l rebuild-exclude -x
complete -c gm-emerge -l rebuild-if-new-rev -a 'y n'
complete -c gm-emerge -l rebuild-if-new-slot -a 'y n'
complete -c gm-emerge -l rebuild-if-new-ver -a 'y n'
complete -c gm-emerge -l rebuild-if-unbuilt -a 'y n'
complete -c gm-emerge -l rebuild-ignore -x
complete -c gm-emerge -l rebuilt-binaries -a 'y n'
complete -c gm-emerge -l rebuilt-binaries-timestamp -x
complete -c gm-emerge -l regen
complete -c gm-emerge -l regex-search-auto -a 'y n'
complete -c gm-emerge -l reinstall -a 'changed-use'
complete -c gm-emerge -l reinstall-atoms -x
complete -c gm-emerge -l resume -s r
complete -c gm-emerge -l root -x
complete -c gm-emerge -l root-deps -a 'rdeps'
complete -c gm-emerge -l search -s s
complete -c gm-emerge -l search-index -a 'y n'
complete -c gm-emerge -l search-similarity -x
complete -c gm-emerge -l searchdesc -s S
complete -c gm-emerge -l select -s w -a 'y n'
complete -c gm-emerge -l selective -a 'y n'
complete -c gm-emerge -l skip-first -l skipfirst
complete -c gm-emerge -l status
complete -c gm-emerge -l sync
complete -c gm-emerge -l sync-submodule -a 'glsa news profiles'
complete -c gm-emerge -l sysroot -x
complete -c gm-emerge -l tree -s t
complete -c gm-emerge -l unmerge -s C
complete -c gm-emerge -l unordered-display
complete -c gm-emerge -l update -s u
complete -c gm-emerge -l update-if-installed
complete -c gm-emerge -l use-ebuild-visibility -a 'y n'
complete -c gm-emerge -l useoldpkg-atoms -x
complete -c gm-emerge -l usepkg -s k -a 'y n'
complete -c gm-emerge -l usepkg-exclude -x
complete -c gm-emerge -l usepkg-exclude-live -a 'y n'
complete -c gm-emerge -l usepkg-include -x
complete -c gm-emerge -l usepkgonly -s K -a 'y n'
complete -c gm-emerge -l verbose -s v -a 'y n'
complete -c gm-emerge -l verbose-conflicts
complete -c gm-emerge -l verbose-missing-ebuilds -a 'y n'
complete -c gm-emerge -l verbose-slot-rebuilds -a 'y n'
complete -c gm-emerge -l version -s V
complete -c gm-emerge -l with-bdeps -a 'y n'
complete -c gm-emerge -l with-bdeps-auto -a 'y n'
complete -c gm-emerge -l with-test-deps -a 'y n'
complete -c gm-emerge -a '@world @system @selected @profile'
