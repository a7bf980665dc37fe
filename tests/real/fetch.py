# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetch the upstream tarballs that the Manifests beside this name: ``python tests/real/fetch.py FOLDER``.

Where there is apt, they are those of Debian's source packages; elsewhere emerge fetches them from their
upstream or a mirror (GENTOO_MIRRORS). Nothing on the machine is changed and no privilege is needed. A tarball
is known by its digest, so that one that a distribution packed anew is not taken for upstream's.
Told on stdout, as JSON, for each program: ``[CATEGORY/NAME-VERSION, ""]``, or ``["", REASON]``.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parent / "repository"
DEBIAN = {"ninja": "ninja-build"}
"""Source packages that Debian calls otherwise."""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = {}
    with tempfile.TemporaryDirectory() as scratch:
        by = Apt(Path(scratch)) if shutil.which("apt-get") else Emerge(Path(scratch), folder)
        for package in sorted(REPOSITORY.glob("*-*/*")):
            known = manifest(package)
            why = "" if have(folder, known) else by.fetch(package)
            for fetched in Path(scratch).glob("*.tar.*"):
                if name := known.get(digest(fetched)):
                    shutil.copy(fetched, folder / f".{name}")
                    (folder / f".{name}").rename(folder / name)
            found = have(folder, known)
            wanted = f"wanted: {', '.join(sorted(known.values()))}; {why}"
            told[package.name] = [f"{package.parent.name}/{found}", ""] if found else ["", wanted]
    print(json.dumps(told, indent=2))


def manifest(package: Path) -> dict[str, str]:
    """SHA512 -> file name. Source: GLEP 74."""
    text = (package / "Manifest").read_text(encoding="utf-8")
    return {sha: name for name, sha in re.findall(r"^DIST (\S+) .* SHA512 (\w+)$", text, re.M)}


def have(folder: Path, known: dict[str, str]) -> str:
    """``NAME-VERSION`` of a tarball that is there and whole, or nothing."""
    whole = [name for sha, name in known.items() if (folder / name).is_file() and digest(folder / name) == sha]
    return max(whole, default="").partition(".tar.")[0]


def digest(path: Path) -> str:
    return hashlib.sha512(path.read_bytes()).hexdigest()


class Apt:
    """apt with the machine's sources turned into deb-src ones, and all of its state in a folder of ours."""

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.failed = scratch, ""
        for name in ("state/lists/partial", "cache/archives/partial", "sources.list.d"):
            (scratch / name).mkdir(parents=True)
        (scratch / "status").touch()
        told = run(["apt-config", "shell", "one", "Dir::Etc::sourcelist/f", "many", "Dir::Etc::sourceparts/d"]).stdout
        at = dict(word.split("=", 1) for word in shlex.split(told))
        for source in (Path(at["one"]), *sorted(Path(at["many"]).glob("*"))):
            if source.suffix in {".list", ".sources"} and source.is_file():
                plain = source.read_text(encoding="utf-8")
                turned = re.sub(r"^Types:.*|^deb(?=\s)", as_source, plain, flags=re.M)
                (scratch / "sources.list.d" / source.name).write_text(turned, encoding="utf-8")

    def fetch(self, package: Path) -> str:
        """Fetch the tarballs of a source package; what apt said where it failed."""
        if not self.failed and not any((self.scratch / "state/lists").glob("*Sources*")):
            updated = self.apt("update")
            self.failed = updated.stderr if updated.returncode else ""
        name = DEBIAN.get(package.name, package.name)
        ended = self.apt("source", "--download-only", "--tar-only", "--only-source", name)
        got = ", ".join(sorted(path.name for path in self.scratch.glob(f"{name}_*.tar.*")))
        return f"apt gave {got or 'nothing'} {self.failed}{ended.stderr}"

    def apt(self, *words: str) -> subprocess.CompletedProcess[str]:
        options = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self.scratch / "sources.list.d",
            "Dir::State": self.scratch / "state",
            "Dir::State::status": self.scratch / "status",
            "Dir::Cache": self.scratch / "cache",
            # Whom apt becomes otherwise, as root, may not write here.
            "APT::Sandbox::User": "root",
        }
        told = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return run(["apt-get", "-qq", *told, *words], cwd=self.scratch)


def as_source(found: re.Match[str]) -> str:
    return "Types: deb-src" if found[0].startswith("Types") else "deb-src"


class Emerge:
    """emerge --fetchonly on a host of our own, as on Gentoo."""

    def __init__(self, scratch: Path, folder: Path) -> None:
        from gentoomuch_portage import demo_host

        self.host, self.folder = demo_host.make(scratch / "host"), folder
        self.host.write("repos.conf/gm-real.conf", f"[gm-real]\nlocation = {REPOSITORY}\nauto-sync = no\n")

    def fetch(self, package: Path) -> str:
        """Fetch the newest tarball into the folder; the end of what emerge said where it failed."""
        mirrors = {key: os.environ[key] for key in ("GENTOO_MIRRORS", "https_proxy", "http_proxy") if key in os.environ}
        words = ["emerge", "--fetchonly", "--nodeps", "--quiet", f"{package.parent.name}/{package.name}"]
        words[0] = str(Path(sys.executable).parent / words[0])
        ended = run(words, env=self.host.env(DISTDIR=str(self.folder.absolute()), **mirrors))
        return f"emerge --fetchonly: {ended.stderr[-500:]}" if ended.returncode else ""


def run(
    words: list[str], cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, encoding="utf-8", errors="replace", check=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
