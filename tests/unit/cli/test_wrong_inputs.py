# SPDX-License-Identifier: GPL-2.0-or-later
"""Wrong inputs: typing errors, wrong arguments, wrong files. Each is one error with a code and a working hint."""

import re
import shlex
import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from manual import command_tree

from gentoomuch_portage.cli import commands, parser
from gentoomuch_portage.cli.commands import run_command_line
from gentoomuch_portage.emerge import hints
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.plan.request import Request

WRONG = {
    (64, "unknown-command"): (
        "profle",
        "profil ls",
        "lst",
        "upgrade",
        "instal vim",
        "zzz",
        "PROFILE ls",
        "profile shwo",
        "profile lnt lab",
        "profile zzz",
        "binhost serv",
        "binhost lss",
        "patch tyr musl",
        "unmask prun",
        "isa chek -march=x",
        "root exprot lab",
        "hooks enabel refresh",
        "dotgentoo trsut .",
        "binpkg wyh a/b",
        "freze lab x.tar",
        "histroy",
        "help profle",
        "help profile shwo",
    ),
    (64, "usage"): (
        "profile --lst",
        "plugins extra",
        "version extra",
        "doctor extra",
        "profile ls extra",
        "--jsn",
        "--config",
        "--color maybe",
        "-Z",
        "profile ls --jsn",
        "profile ls --names --gentoo",
        "profile add",
        "profile add new",
        "profile add new --root",
        "profile add new --here --root /x",
        "profile add -x --here",
        "profile set",
        "profile set lab --unset",
        "profile diff lab",
        "profile run lab",
        "profile rename lab",
        "profile set-key lab",
        "status --jsn",
        "update --all lab",
        "fleet --html",
        "history --since yesterday",
        "history --since 7x",
        "history --nwo",
        "why",
        "unmask drop --profile lab",
        "patch prep musl",
        "patch use",
        "binpkg audit --jobs 0",
        "isa check -O2",
        "isa check -march=haswell",
        "isa ls --arch amd46",
        "bootstrap lab --stage3",
        "bootstrap lab --from-host --oci TOP/file",
        "root export lab",
        "freshroot lab --isolation chroot",
        "binhost diff TOP one 2",
        "binhost client ftp://tower/x",
        "binhost client http://tower/x --fingerprint 12",
        "binhost publish",
        "freeze",
        "freeze lab",
        "hooks query requirs a/b",
        "plugins -- x",
    ),
    (64, "profile-exists"): (
        "profile add lab --here",
        "profile rename lab lab",
        "profile rename lab other",
    ),
    (78, "bad-name"): (
        "profile add ../x --here",
        'profile add "a b" --here',
        "profile show ../lab",
        "profile rename lab a/b",
    ),
    (78, "taken-name"): ("profile add hooks --here",),
    (64, "unknown-profile"): (
        "profile add new --from lba --here",
        "profile show lba",
        "profile set lba",
        "profile edit lba",
        "profile lint lba",
        "profile env lba",
        "profile run lba -- true",
        "profile rm lba --yes",
        "profile rename lba new",
        "profile set-key lba cpu znver3",
        "config cpu --profile lba",
        "status lba",
        "update lba",
        "fleet lba",
        "history --profile ghost",
        "why a/b --profile lba",
        "unmask ls --profile lba",
        "unmask why a/b --profile lba",
        "patch check --profile lba",
        "binpkg mask --profile lba",
        "bootstrap lba --from-host",
        "root rm lba",
        "root export lba -o TOP/x.tar",
        "freshroot lba",
        "binhost coverage lba",
        "freeze lba x.tar",
        "sync --profile lba",
    ),
    (78, "bad-setting"): (
        "profile add new --from broken --here",
        "profile show broken",
        "profile set broken",
        "profile lint broken",
        "profile set-key lab container.show '[\"/\"]'",
        "profile set-key broken cpu znver3",
        "config cpu --profile broken",
    ),
    (64, "no-profile"): (
        'profile show ""',
        "profile show",
        "update",
        "unmask ls",
    ),
    (64, "not-confirmed"): ("profile rm lab",),
    (64, "unknown-key"): (
        "profile set-key lab cpo znver3",
        "profile set-key lab use true",
        "config binpkg.ues",
        "config colour",
    ),
    (64, "bad-value"): (
        "profile set-key lab binpkg.use yes",
        "profile set-key lab isolation chroot",
        "profile set-key lab root relative",
        "profile set-key lab packages vim",
        "profile set-key lab packages app-editors/vim",
        "profile set-key lab container.disk 20X",
        "profile set-key lab container.processes -1",
    ),
    (64, "bad-source"): (
        "profile adopt TOP/missing new",
        "profile adopt TOP/file new",
    ),
    (64, "no-etc-portage"): ("profile adopt TOP new",),
    (64, "not-unmasked"): ("unmask drop a/b --profile lab",),
    (78, "bad-file"): (
        "profile add new --here --config TOP/file",
        "profile ls --config TOP/file",
        "profile rename other new --state TOP/file",
        "patch use musl --all --config TOP/file",
    ),
    (64, "nothing-prepared"): (
        "patch try musl",
        "patch save musl",
        "patch drop musl",
    ),
    (64, "unknown-patch-set"): ("patch use musl --profile lab",),
    (64, "unknown-compiler"): ("isa check -march=haswell --cpu haswell --compiler gcc-1",),
    (64, "no-such-cpu"): ("isa show znver99",),
    (69, "system"): ("bootstrap lab --stage3 TOP/missing.tar.xz",),
    (70, "no-fresh-root"): ("root rm lab --fresh old --yes",),
    (70, "no-root"): ("root export lab -o TOP/x.zip",),
    (64, "no-dotgentoo"): (
        "dotgentoo id TOP/missing",
        "dotgentoo check TOP",
    ),
    (64, "bad-package"): ("dotgentoo init hello TOP",),
    (64, "no-package-folder"): ("binhost index TOP/missing",),
    (64, "no-generation"): (
        "binhost rollback TOP/missing",
        "binhost diff TOP 1 2",
    ),
    (64, "unknown-binhost"): ("binhost client http://tower/x --remove",),
    (70, "bad-archive"): (
        "verify TOP/missing.tar",
        "verify TOP/file",
        "thaw TOP/missing.tar",
        'thaw TOP/file --as "a b"',
        "thaw TOP",
    ),
    (64, "unknown-hook"): (
        "hooks enable nosuch",
        "hooks disable nosuch",
        "hooks text nosuch",
    ),
    (77, "no-privilege"): ("profile set other --state TOP/file",),
}
"""Exit status and code -> command lines. TOP is a directory with one file, ``file``."""
WRONG_OPTIONS = {
    "unknown-option": (
        "--gm-foo", "--gm-proflie=lab", "--gm-profil=lab", "--gm-PROFILE=lab", "--gm-pretend", "--gm-", "--gm-lock",
        "--gm-explian", "--gm-locked=yes", "--gm-help=x", "--gm-version=1", "--gm-isolaton bwrap", "-p --gm-jsn=x a/b",
    ),
    "invalid-value": (
        "--gm-isolation=foo", "--gm-isolation=bwarp", "--gm-isolation=BWRAP", "--gm-unmask=all",
        "--gm-unmask=keywords,lisense", "--gm-explain=yaml", "--gm-isolation=none,auto",
    ),
    "option-needs-value": (
        "--gm-profile", "--gm-profile=", "--gm-profile -p a/b", "--gm-plan", "--gm-isolation=", "--gm-no", "--gm-json",
        "--gm-unmask --pretend", "--gm-config", "--gm-state=", "--gm-cache=", "--gm-trust=",
    ),
}  # fmt: skip
"""Code -> arguments of gm-emerge."""
WRONG_FILES = {
    'cpo = "znver3"\n': {"cpu": "znver3"},
    "cpu = znver3\n": {"cpu": "znver3"},
    "cpu = 3\n": {"cpu": "x86-64-v3"},
    "isolation = bwrap  # fast\n": {"isolation": "bwrap"},
    'isolation = "bwarp"\n': {"isolation": "bwrap"},
    'Isolation = "bwrap"\n': {"isolation": "bwrap"},
    'root = "relative"\n': {"root": "/srv/roots/NAME"},
    'pakages = ["app-editors/vim"]\n': {"packages": ["app-editors/vim"]},
    "[binpgk]\nbuild = true\n": {"binpkg": {"build": True}},
    "[binpkg]\nues = true\n": {"binpkg": {"use": True}},
    '[binpkg]\nuse = "yes"\n': {"binpkg": {"use": True}},
    "[container]\nprocesses = -1\n": {"container": {"processes": 0}},
    '[container]\ndisk = "20X"\n': {"container": {"disk": "20G"}},
    "zzz = 1\n": {},
}
"""Text of a profile with one error -> its values after the command of the hint was run."""
INSTRUCTIONS = {"bad-archive", "bad-setting", "no-privilege"}
"""Codes whose hint may be an instruction, as no command can correct the input."""
PARSED = {
    "binhost", "bootstrap", "freshroot", "hooks", "profile adopt", "profile run", "root export", "root rm", "sync",
    "update", "doctor", "build", "demo", "dotgentoo trust", "binpkg", "why", "patch prep", "patch try",
}  # fmt: skip
"""Commands that need a host, or change it: hints with them are only parsed; tests/host/test_hints.py runs them."""
PATHS = {shape.path[1:] for shape in command_tree.gentoomuch().walk()}


@pytest.fixture
def top(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings, write) -> Path:
    """A configuration with the profiles ``lab``, ``other`` and, if a test names it, ``broken``; and a project."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    for name in ("GM_PROFILE", "VISUAL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("FORCE_COLOR", "NO_COLOR"):  # --color sets them
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("EDITOR", "true")
    settings.host.mkdir(parents=True)
    write("profiles/lab.toml", f'base = "none"\nroot = "{tmp_path}/roots/lab"\n')
    write("profiles/other.toml", "")
    if "broken" in request.node.name:
        write("profiles/broken.toml", "cpu = 1\n")
    (tmp_path / "top").mkdir()
    (tmp_path / "top/file").write_text("text\n")
    (tmp_path / "top/Makefile").write_text("all:\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "top"


@pytest.mark.parametrize(("line", "status", "code"), [(line, *key) for key, lines in WRONG.items() for line in lines])
def test_a_wrong_input_is_one_error_with_a_hint(line: str, status: int, code: str, top: Path, capsys):
    assert run_command_line(shlex.split(line.replace("TOP", str(top)))) == status

    error = capsys.readouterr().err
    assert f"[{code}]" in error
    assert len(re.findall(r"\[[a-z-]+\]$", error, re.M)) == 1
    assert "Traceback" not in error
    hint = error.partition("hint: ")[2].strip()
    assert code in INSTRUCTIONS or re.match(r"(gentoomuch|gm-emerge|emerge|ls|sed|mv|mkdir) ", hint), hint
    if hint.startswith("gentoomuch "):
        check_command(shlex.split(hint)[1:], code, capsys)


def test_a_key_is_made_for_no_profile_that_does_not_exist(settings, top: Path):
    assert run_command_line(["freeze", "lba", "x.tar"]) == 64

    assert not (settings.state / "binhost").exists()


def check_command(words: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that the command of a hint is accepted, and run it unless it needs a host.

    It may still fail for another reason: of two errors in a line, the second is then reported with its own hint.
    """
    if any(f"{' '.join(words)} ".startswith(f"{name} ") for name in PARSED):
        with suppress(SystemExit):
            parser.build_parser(commands.load_own_commands()).parse_args(words[: [*words, "--"].index("--")])
        return
    try:
        status = run_command_line(words)
    except SystemExit as ended:
        status = int(ended.code or 0)
    error = capsys.readouterr().err
    codes = re.findall(r"\[([a-z-]+)\]$", error, re.M)
    reports = status == 1 and not codes  # it found something, such as lint
    assert status == 0 or reports or (codes and code not in codes), error


@pytest.mark.parametrize(("line", "code"), [(line, code) for code, lines in WRONG_OPTIONS.items() for line in lines])
def test_a_wrong_option_of_gm_emerge_is_one_error_with_a_hint(line: str, code: str):
    arguments = shlex.split(line)
    with pytest.raises(GmError) as raised:
        Request.parse(arguments, {})

    error = raised.value
    hints.correct(error, "/usr/bin/gm-emerge", arguments)
    program, *corrected = shlex.split(error.hint)
    assert (error.code, error.status) == (code, 64)
    if "--gm-trust" not in line:  # nobody knows the ID
        assert program == "gm-emerge"
        assert Request.parse(corrected, {})
    if "a/b" in line:
        assert corrected[-1] == "a/b"


@pytest.mark.parametrize("text", WRONG_FILES)
def test_the_hint_for_a_wrong_line_of_a_profile_corrects_the_file(text: str, top: Path, write, capsys):
    file = write("profiles/lab.toml", text)
    assert run_command_line(["profile", "show", "lab"]) == 78
    hint = capsys.readouterr().err.partition("hint: ")[2].strip()

    subprocess.run(["sh", "-c", hint], check=True)

    assert tomllib.loads(file.read_text()) == WRONG_FILES[text]
    assert run_command_line(["profile", "show", "lab"]) == 0


def test_a_wrong_name_on_the_command_line_is_corrected_and_nothing_is_confirmed(top: Path, capsys):
    assert run_command_line(["profile", "rm", "lba", "--with-state", "--yes"]) == 64

    assert capsys.readouterr().err.endswith("hint: gentoomuch profile rm lab --with-state\n")


def test_a_password_in_a_url_is_not_in_the_hint(top: Path, capsys):
    assert run_command_line(["binhost", "client", "https://user:secret@tower/x", "--new-kye"]) == 64

    assert capsys.readouterr().err.endswith("hint: gentoomuch binhost client https://tower/x --new-key\n")


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("profil ls --names", "gentoomuch profile ls --names"),
        ("install vim -p", "gm-emerge --gm-profile=lab vim -p"),
        ("root bootstrap lab", "gentoomuch bootstrap lab"),
        ("destroy lab --yes", "gentoomuch root rm lab"),
        ("use other", "gentoomuch profile set other"),
        ("patch build musl", "gentoomuch patch try musl"),
        ("profile rename lab 'new name' --config config", "gentoomuch profile rename lab new-name --config config"),
        ("config cpu --profile=lba", "gentoomuch config cpu --profile=lab"),
        ("update --dry-run lab", "gentoomuch update --pretend lab"),
        ("freeze x.tar", "gentoomuch freeze lab x.tar"),
        ("freshroot lab --isolation bwarp", "gentoomuch freshroot lab --isolation bwrap"),
        ("isa ls --arch amd64", "gentoomuch isa ls --arch x86_64"),
        ("profile ls --names --gentoo --jsn", "gentoomuch profile ls --gentoo --json"),
        ("verify top/fiel", "gentoomuch verify top/file"),
        ("bootstrap lab --from-host --key=x", "gentoomuch bootstrap lab --from-host"),
    ],
)
def test_a_hint_is_the_whole_corrected_command_line(line: str, hint: str, top: Path, capsys):
    run_command_line(shlex.split(line))

    assert capsys.readouterr().err.rstrip().endswith(f"hint: {hint}")


def test_the_table_has_at_least_120_inputs():
    assert sum(map(len, WRONG.values())) >= 120


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("-p --profile=router a/b", "gm-emerge -p --gm-profile=router a/b"),
        ("--profile router", "gm-emerge --gm-profile router"),
        ("-p a/b --profile", "gm-emerge -p a/b --gm-profile=lab"),
        ("--isolation=bwrap a/b", "gm-emerge --gm-isolation=bwrap a/b"),
        ("--explain", "gm-emerge --gm-explain"),
        (".", "gentoomuch dotgentoo init app-misc/test ."),
        ("-1 ./", "gentoomuch dotgentoo init app-misc/test ."),
        ("..", "gentoomuch dotgentoo init app-misc/test .."),
        ("-p a/b", ""),
        ("--config a/b", ""),
        ("-p --sysroot . a/b", ""),
        ("--root .. a/b", ""),
        ("--version", ""),
        ("-- --profile=x", ""),
    ],
)
def test_a_failed_emerge_hints_at_the_option_that_was_meant(line: str, hint: str, top: Path):
    """emerge reports ``--profile=router`` as unknown, and ``.`` as an invalid atom, and knows no more."""
    found = hints.find_hint(line.split())

    assert re.sub(r"app-misc/\S+", "app-misc/test", found) == hint


def test_no_project_is_suggested_where_there_is_one(top: Path):
    (top / ".gentoo").mkdir()

    assert hints.find_hint([str(top)]) == ""
