# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Print the sets, categories, packages or USE flags that complete the word $1 of gm-emerge.
# It reads directories and files of repositories, and starts neither Python nor Portage.
etc=${PORTAGE_CONFIGROOT%/}/etc/portage
IFS="
"
repos=$(cat /usr/share/portage/config/repos.conf "$etc"/repos.conf "$etc"/repos.conf/*.conf 2>/dev/null |
    sed -n "s/^[[:space:]]*location[[:space:]]*=[[:space:]]*//p" | sort -u)
case $1 in
-*) ;;
@*)
    printf "%s\n" @world @system @selected @profile @machine
    printf "%s\n" "$etc"/sets/* "${GM_CONFIG:-${PORTAGE_CONFIGROOT%/}/etc/gentoomuch}"/layers/*/sets/* | sed "s,.*/,@,"
    ;;
*/*"["*)
    head=${1%"${1##*[[,]}"}
    for repo in $repos; do
        cat "$repo/metadata/md5-cache/${1%%"["*}"-[0-9]* 2>/dev/null
    done | sed -n "s/^IUSE=//p" | tr " " "\n" | sed "s/^[-+]//" | head=$head awk "{ print ENVIRON[\"head\"] \$0 }"
    ;;
*)
    for repo in $repos; do
        cd "$repo" 2>/dev/null || continue
        case $1 in
        */*) printf "%s\n" "$1"*/ | sed "s,/$,," ;;
        *)
            sed "s,$,/," profiles/categories 2>/dev/null
            [ -n "$1" ] && printf "%s\n" *-*/"$1"*/ virtual/"$1"*/ | sed "s,/$,,;s,.*/,,"
            ;;
        esac
    done
    ;;
esac | word=$1 awk "index(\$0, ENVIRON[\"word\"]) == 1 && !/[*]/" | sort -u
