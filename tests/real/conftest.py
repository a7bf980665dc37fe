# SPDX-License-Identifier: GPL-2.0-or-later
"""Two machines on one host, each with a root of its own, and upstream's programs built for both."""

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.isa import cpu as isa_cpu

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
FLAGS = {"laptop": "-O2 -flto -frecord-gcc-switches", "router": "-Os -frecord-gcc-switches"}
"""The compiler writes the switches that it was given into each program."""


@dataclass(frozen=True)
class Sources:
    """The tarballs that are there."""

    folder: Path
    programs: dict[str, str]
    """Name -> ``CATEGORY/NAME-VERSION``."""
    missing: dict[str, str]
    """Name -> why there is none."""

    def version(self, name: str) -> str:
        """``CATEGORY/NAME-VERSION``; the test is skipped where the tarball could not be had."""
        if name in self.missing:
            pytest.skip(f"no tarball of {name}: {self.missing[name]}")
        return self.programs[name]


@dataclass(frozen=True)
class Machine:
    """One profile, and the root that was built for it."""

    name: str
    cpu: str
    host: Host
    sources: Sources

    @property
    def flags(self) -> str:
        """What the profile says about CFLAGS."""
        return f"{FLAGS[self.name]} -march={self.cpu}"

    @property
    def eroot(self) -> Path:
        return self.host.eroot(self.host.folder / self.name)

    def program(self, name: str) -> Path:
        self.sources.version(name)
        return self.eroot / "usr/bin" / name

    def run(self, name: str, *words: str | Path, text: str = "", cwd: Path | None = None) -> str:
        """What a program of this machine prints."""
        told = {"input": text, "cwd": cwd, "env": self.host.env(), "encoding": "utf-8", "timeout": 60}
        return subprocess.run([self.program(name), *words], check=True, stdout=subprocess.PIPE, **told).stdout

    def emerge(self, *words: str) -> None:
        """Run gm-emerge for this machine, to a good end."""
        argv = [BIN / "gm-emerge", f"--gm-profile={self.name}", "--quiet", *words]
        told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
        ended = subprocess.run(argv, env=self.host.env(), timeout=1200, check=False, **told)
        assert ended.returncode == 0, ended.stdout[-8000:]

    def package(self, name: str) -> Path:
        """The binary package from which a program was merged."""
        version = self.sources.version(name)
        build = (self.eroot / "var/db/pkg" / version / "BUILD_ID").read_text(encoding="utf-8").strip()
        category, _, rest = version.partition("/")
        return self.host.pkgdir / category / name / f"{rest}-{build}.gpkg.tar"


@pytest.fixture(scope="session")
def sources(request: pytest.FixtureRequest) -> Sources:
    """Upstream's tarballs, kept in pytest's cache, so that only the first run needs the network."""
    folder = request.config.cache.mkdir("distfiles")
    fetched = subprocess.run(
        [sys.executable, HERE / "fetch.py", folder], check=True, stdout=subprocess.PIPE, encoding="utf-8", timeout=900
    )
    told = json.loads(fetched.stdout)
    programs = {name: version for name, (version, _) in told.items() if version}
    return Sources(folder, programs, {name: why for name, (_, why) in told.items() if why})


@pytest.fixture(scope="session")
def host(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A Gentoo host with upstream's tarballs and our ebuilds for them."""
    made = demo_host.make(tmp_path_factory.mktemp("real") / "host")
    made.write("repos.conf/gm-real.conf", f"[gm-real]\nlocation = {HERE / 'repository'}\nauto-sync = no\n")
    for tarball in sources.folder.iterdir():
        shutil.copy(tarball, made.eprefix / "var/cache/distfiles")
    return made


@pytest.fixture(scope="session")
def machines(sources: Sources, host: Host, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Machine]:
    """The laptop and the router, with all programs; the laptop is the faster one that this CPU can still run."""
    if not sources.programs:
        pytest.skip(f"no tarballs: {sources.missing}")
    if platform.machine() != "x86_64":
        pytest.skip("the two machines are x86-64")
    level = isa_cpu.goamd64(isa_cpu.macros("native", tmp_path_factory.mktemp("isa"), place=str(HERE)))
    if level == "v1":
        pytest.skip("this CPU is plain x86-64: programs of a better machine would not run")
    cpus = {"laptop": f"x86-64-{min(level, 'v3')}", "router": "x86-64"}
    made = {name: Machine(name, cpu, host, sources) for name, cpu in cpus.items()}
    for name, machine in made.items():
        said = f'cpu = "{machine.cpu}"\nlayers = ["{name}"]\nroot = "{host.folder / name}"\n'
        conf = f'CFLAGS="{FLAGS[name]}"\nCXXFLAGS="${{CFLAGS}}"\nMAKEOPTS="-j1"\n'
        host.profile(name, said, {f"{name}/make.conf": conf})
        # The router comes second: what the laptop left in their one PKGDIR is no package for it.
        machine.emerge("--jobs=2", *(f"={version}" for version in sources.programs.values()))
    return made


@pytest.fixture(params=["laptop", "router"])
def machine(request: pytest.FixtureRequest, machines: dict[str, Machine]) -> Machine:
    """Each of the two."""
    return machines[request.param]
