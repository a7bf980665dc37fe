"""What a run needs to see of its host, wherever it runs."""

import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from gentoomuch_portage.containers.mounts import Bind
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.portage_adapter import front, query
from gentoomuch_portage.settings import Settings

_OURS = ("gentoomuch_portage", "pluggy")
"""What a root with a Portage of its own needs besides, to run us."""
_SESSION = (
    "SSH_", "DBUS_", "XDG_", "GPG_", "WAYLAND_", "DISPLAY", "XAUTHORITY", "AWS_", "GITHUB_", "GITLAB_", "GOOGLE_",
    "AZURE_", "KUBE", "DOCKER_", "GM_", "OLDPWD", "HOME", "PYTHONPATH", "TMPDIR", "LS_COLORS", "MAIL",
)  # fmt: skip
"""Beginnings of variables that belong to the user's session."""
_TOLD = frozenset({"ROOT", "SYSROOT"})
"""What the plan says, and is in force as long as it is carried out."""
_SECRET = re.compile(r"TOKEN|SECRET|PASS|CREDENTIAL|PRIVATE|_PWD$|_AUTH$|(?<!SIGNING)_KEY$|APIKEY$")
"""Names of variables that hold one; BINPKG_GPG_SIGNING_KEY is a key's name."""
_PROXY = "_PROXY"
"""The end of a name: where the network is, and often a password for it."""


class Places(NamedTuple):
    """Folders by their use."""

    pkgdir: Path
    distdir: Path
    repositories: tuple[Path, ...]
    tmpdir: Path
    """PORTAGE_TMPDIR of boxes of this profile."""
    eprefix: Path
    """``/`` where there is none."""
    settings: Settings
    logdir: Path | None = None
    """PORTAGE_LOGDIR, where there is one: the log of a build that failed is what its user looks for."""

    @classmethod
    def of(cls, plan: Plan, settings: Settings) -> Self:
        """Ask Portage what the composed configroot of a plan says."""
        values = query.load(Path(plan.configroot)).values
        env = {**os.environ, **plan.env}
        logs = env.get("PORTAGE_LOGDIR", values["PORTAGE_LOGDIR"])
        return cls(
            pkgdir=Path(env.get("PKGDIR") or values["PKGDIR"]).resolve(),
            distdir=Path(env.get("DISTDIR") or values["DISTDIR"]).resolve(),
            repositories=tuple(path.resolve() for path in query.repositories(Path(plan.configroot)).values()),
            tmpdir=Path(f"{plan.env['PORTAGE_TMPDIR']}.box"),
            eprefix=Path(front.eprefix() or "/"),
            settings=settings,
            logdir=Path(logs).resolve() if logs and Path(logs).is_dir() else None,
        )


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a box without the network: emerge's variables, nothing of the user's session, no secrets."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _TOLD
        and not name.startswith(_SESSION)
        and not _SECRET.search(name.upper())
        and not name.upper().endswith(_PROXY)
    }


def proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """What a box with the network gets besides."""
    return {name: value for name, value in environ.items() if name.upper().endswith(_PROXY)}


def interpreter(environ: Mapping[str, str]) -> Iterator[Path]:
    """Folders that this Python, what it imports, and the programs of PATH stand in."""
    yield from (Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_exec_prefix), *modules().values())
    home = Path(environ.get("HOME", "/")).absolute()
    script = str(Path(sys.argv[0]).absolute().parent)  # Python's own way to what is not installed
    for word in (*(word for word in sys.path if word != script), *environ.get("PATH", "").split(":")):
        path = Path(word)
        if path.is_absolute() and os.access(path, os.R_OK | os.X_OK) and not home.is_relative_to(path):
            yield path


def resolving() -> Iterator[Bind]:
    """Where names are resolved, if that is a link to somewhere that a box does not see."""
    link = Path("/etc/resolv.conf")
    if link.exists():
        yield Bind(str(link.resolve()), str(link.resolve()))


def modules() -> dict[str, Path]:
    """Name -> file or folder of the modules that have to be brought along into another root."""
    found = {}
    for name in _OURS:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            origin = Path(spec.origin)
            place = origin.parent if origin.name == "__init__.py" else origin
            found[place.name] = place
    return found
