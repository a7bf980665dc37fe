# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that the files of an adopted /etc/portage source."""

import pytest

from gentoomuch_portage.config import sourced_files

OTHER = {"conf/x": "A=1\n", "router.conf": "A=2\n"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('CONF_DIR="/etc/portage/conf"\nsource ${CONF_DIR}/x\n', "source conf/x"),
        ("CONF_DIR=/etc/portage\nCONF=$CONF_DIR/conf\nsource $CONF/x\n", "source conf/x"),
        ('CONF_DIR="${PORTAGE_CONFIGROOT}etc/portage"\nsource "${CONF_DIR}/conf/x"\n', 'source "conf/x"'),
        ('source "${EPREFIX}/etc/portage/conf/x"\n', 'source "conf/x"'),
        ("CONF_DIR=conf\nsource ${CONF_DIR}/x\n", "source ${CONF_DIR}/x"),
    ],
)
def test_a_variable_in_the_path_of_a_source_line_of_make_conf_is_followed(text: str, line: str):
    """Seen failing before: such a file was left out in silence, or named as a file of the host."""
    sourced = sourced_files.find({"make.conf": text, **OTHER})

    assert sourced.names == {"conf"}
    assert sourced.texts.get("make.conf", text).splitlines()[-1] == line
    assert sourced.outside == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('CONF_DIR="/etc/portage"\n. "${CONF_DIR}/conf/x"\n', '. "${PORTAGE_CONFIGROOT%/}/etc/portage/conf/x"'),
        ("local dir=/etc/portage/conf\n[[ -f ${dir}/x ]] && source ${dir}/x\n", ""),
        ("for file in /etc/portage/conf/*; do\n source ${file}\ndone\n", ""),
        ('for file in "/etc/portage/conf"/*; do . "${file}"; done\n', ""),
        ('. "/etc/portage/conf/${CATEGORY}"\n', ""),
    ],
)
def test_a_variable_in_the_path_of_a_source_line_of_bash_is_followed(text: str, line: str):
    sourced = sourced_files.find({"bashrc": text, **OTHER})

    assert sourced.names == {"conf"}
    assert line in sourced.texts["bashrc"].splitlines() or not line
    assert "=/etc/portage" not in sourced.texts["bashrc"].replace('="/etc', "=/etc") or line
    assert sourced.outside == ()


@pytest.mark.parametrize("host", ["$(hostname)", "`uname -n`", "${HOSTNAME}", "$HOSTNAME", "$(</etc/hostname)"])
def test_the_name_of_the_machine_is_known_if_one_file_fits(host: str):
    text = f". /etc/portage/{host}.conf\n"

    one = sourced_files.find({"bashrc": text, **OTHER})
    several = sourced_files.find({"bashrc": f"# hosts\n{text}", **OTHER, "laptop.conf": ""})

    assert one.names == {"router.conf"}
    assert one.texts["bashrc"] == ". ${PORTAGE_CONFIGROOT%/}/etc/portage/router.conf\n"
    assert one.outside == ()
    assert [line.partition(": ")[0] for line in several.outside] == ["bashrc:2"]
    assert host in several.outside[0]
    assert "name of the machine" in several.outside[0]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("make.conf", "A=1\nsource ${CONF_DIR}/x\n", "CONF_DIR is not set"),
        ("make.conf", "A=1\nsource ${CONF_DIR}/x\nCONF_DIR=conf\n", "CONF_DIR is not set"),
        ("bashrc", "A=1\nsource $(find-it)\n", "output of a command"),
        ("bashrc", 'A=1\nsource "$1"\n', "an argument"),
        ("bashrc", 'A=1\nsource "/etc/portage/${KIND}"\n', "KIND is not set"),
    ],
)
def test_a_path_that_cannot_be_known_is_named_with_file_and_line(name: str, text: str, why: str):
    (line,) = sourced_files.find({name: text, **OTHER}).outside

    assert line.startswith(f"{name}:2: cannot follow ")
    assert why in line


def test_directories_of_a_build_and_of_packages_are_no_part_of_the_configuration():
    text = '. "${WORKDIR}/x"\nsource "${FILESDIR}/y"\n. /usr/lib/portage/z\n'

    assert sourced_files.find({"bashrc": text}).outside == ()


def test_files_elsewhere_and_missing_files_are_named_with_the_line_that_sources_them():
    text = "source /var/lib/layman/make.conf\nsource /etc/portage/missing\n"

    elsewhere, missing = sourced_files.find({"make.conf": text}).outside

    assert elsewhere.startswith("/var/lib/layman/make.conf: sourced by make.conf:1, but not below /etc/portage")
    assert missing.startswith("/etc/portage/missing: sourced by make.conf:2, but missing")
