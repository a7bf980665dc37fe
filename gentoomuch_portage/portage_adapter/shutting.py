"""Let Portage start the phases that build through a program of ours, where sys-apps/sandbox is missing."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gentoomuch_portage.portage_adapter.swap import swapped


def missing() -> bool:
    """Whether this Portage has no sandbox."""
    import portage.process

    return not portage.process.sandbox_capable


def group() -> int:
    """The number of Portage's group."""
    from portage.data import portage_gid

    return int(portage_gid)


@contextmanager
def shut(program: str) -> Iterator[None]:
    """As long as the block runs, ``program COMMAND`` is what FEATURES="sandbox usersandbox" mean."""
    import portage.process
    from portage.package.ebuild import config

    with ExitStack() as held:
        held.enter_context(swapped(portage.process, "SANDBOX_BINARY", program))
        held.enter_context(swapped(portage.process, "sandbox_capable", True))
        held.enter_context(swapped(config, "sandbox_capable", True))
        yield
