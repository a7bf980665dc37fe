"""What a new profile says: every key with its default, commented out."""

TEXT = """\
# One machine. gm-emerge --gm-profile={name} ... builds for it; gentoomuch profile show {name} tells what is in force.
# A key that is left out has the value shown here, or that of gentoomuch.toml.

# make_profile = "default/linux/amd64/23.0"    # or "repo:path"; left out with base = "host": the host's
# base = "host"            # "host": start from the host's /etc/portage; "none": from nothing
# cpu = "x86-64-v3"        # a GCC -march name, a psABI level, or "native"; left out: what the layers say
# layers = []              # folders below layers/, in order; a later one wins, incremental variables add up
# patches = []             # patch sets below patches/, in order
# root = "/"               # ROOT; anything else is a machine of its own
# isolation = "none"       # none, auto, bwrap, unshare, nspawn, podman or vm
# emerge = []              # words put before yours: ["--quiet-build=y"]

# [unmask]                 # what may be unmasked without asking: true, false, or a list of atoms
# keywords = true          # ~arch
# live = false             # ** and 9999
# use = true
# license = false
# mask = false             # package.mask

# [binpkg]
# build = true             # make binary packages
# use = true               # use them: --usepkg
# remote = false           # and those of binhosts: --getbinpkg
# unknown = "reject"       # a binary package that does not tell its flags: reject or accept
# audit = false            # read the machine code of binary packages before they are used, and of what was built
# sign = false             # sign what is built, with the key of gentoomuch binhost key
# prefer = "newest"        # among those that run here: newest, or fastest (closest to cpu)

# [container]              # where isolation is not "none"
# processes = 0            # how many may run in it at once; 0: no limit
# disk = ""                # how much may be written in it, kept in memory: "20G"; "": as much as there is room
# kernel = ""              # the Linux that a vm boots: "/boot/vmlinuz"; "": one of the host's
"""


def text(name: str) -> str:
    """The TOML of a new profile."""
    return TEXT.replace("{name}", name)
