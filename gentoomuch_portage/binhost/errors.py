"""What can go wrong between a binhost and its clients, told without the passwords of URLs."""

from pathlib import Path

from gentoomuch_portage.errors import ConfigError, MachineError, RunError, UsageError, bare


class NoBinhost(UsageError):
    """A folder is to be served that holds no index of binary packages."""

    code = "no-binhost"

    def __init__(self, folder: Path) -> None:
        remedy = f"gentoomuch binhost index {folder}"
        super().__init__(f"{folder} has no Packages: it is no binhost", remedy=remedy)
        self.folder = folder


class CannotListen(MachineError):
    """An address cannot be listened on."""

    code = "cannot-listen"

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"{address} cannot be listened on: {why}", remedy="--bind ADDRESS:PORT names another")
        self.address = address


class NoServer(MachineError):
    """The library that speaks HTTP is not installed."""

    code = "no-server"

    def __init__(self) -> None:
        super().__init__(
            "aiohttp is not installed, and binhost serve needs it",
            remedy="emerge dev-python/aiohttp, or pip install 'gentoomuch-portage[server]'",
        )


class IndexRefused(RunError):
    """The index of a binhost is not the one that its key signed, or is no index."""

    code = "index-refused"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"the index of {bare(where)} is refused: {why}", remedy="ask whoever runs that binhost")
        self.where, self.why = where, why


class PackageRefused(RunError):
    """A package of a binhost is not the one that its index tells of, or not signed by its key."""

    code = "package-refused"

    def __init__(self, where: str, why: str) -> None:
        told = f"{bare(where)} is refused: {why}"
        super().__init__(told, remedy="ask whoever runs that binhost: gentoomuch binhost sign")
        self.where, self.why = where, why


class BinhostSilent(MachineError):
    """A binhost does not answer, or not with what a binhost has."""

    code = "binhost-silent"

    def __init__(self, where: str, why: str) -> None:
        told = f"{bare(where)} does not answer as a binhost: {why}"
        super().__init__(told, remedy=f"curl -I {bare(where)}")
        self.where, self.why = where, why


class BinhostsCollide(ConfigError):
    """Two binhosts whose indexes Portage would keep in one file."""

    code = "binhosts-collide"

    def __init__(self, first: str, second: str) -> None:
        super().__init__(
            f"Portage keeps the indexes of {bare(first)} and {bare(second)} in one file: "
            "they differ in port or scheme alone",
            remedy="serve one of them under another path; gm-emerge with a profile keeps them apart",
        )


class KeyKnown(ConfigError):
    """A binhost is configured with another key."""

    code = "key-known"

    def __init__(self, url: str, known: str, told: str) -> None:
        super().__init__(
            f"{bare(url)} is known by the key {known}, and now shows {told}",
            remedy=f"where that is right: gentoomuch binhost client {bare(url)} --remove, and ask again",
        )


class NotConfirmed(UsageError):
    """Nobody confirmed the key of a binhost."""

    code = "key-not-confirmed"

    def __init__(self, url: str, fingerprint: str) -> None:
        super().__init__(
            f"nobody confirmed that the key of {bare(url)} is {fingerprint}",
            remedy=f"compare it with gentoomuch binhost key there, then --fingerprint {fingerprint}",
        )
