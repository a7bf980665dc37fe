"""gm-emerge: the door. Without a profile this is emerge; with one, ``walk`` goes on."""

import gc
import multiprocessing
import os
import sys

from gentoomuch_portage.dotgentoo.arguments import folders
from gentoomuch_portage.portage_adapter import emerge


def main() -> int:
    """The console script."""
    emerge.speak_utf8()
    gc.disable()  # until front.emerge has imported all there is
    try:
        status = run(sys.argv[0], sys.argv[1:])
    except KeyboardInterrupt as signalled:
        emerge.ended_by(signalled)
    finally:
        emerge.close()
    return status


def run(called: str, argv: list[str]) -> int:
    """Run emerge, for a profile where one is asked for or set.

    Args:
        called: the name we were started by, with or without its path; ``router-emerge`` asks for router.
    """
    name = os.path.basename(called)
    emerge.load()  # first: most of what we import ourselves comes with it, and it is needed anyway
    if not _ours(name, argv):
        status = emerge.emerge(argv)
        if any(map(emerge.tells, argv)):
            from gentoomuch_portage.emerge import banner

            banner.tell(argv)
        return status
    from gentoomuch_portage.emerge.run import walk

    return walk(name, argv)


def _ours(name: str, argv: list[str]) -> bool:
    """Whether anything of ours is asked for; on the way of every plain emerge, so it imports little."""
    if name.endswith("-emerge") and name != "gm-emerge":
        return True
    if any(word.startswith("--gm-") for word in argv):
        return True
    if any(key.startswith("GM_") for key in os.environ):
        return True
    if folders(argv):
        return True
    from gentoomuch_portage.config.settings import chosen

    return bool(chosen(os.environ, emerge.eprefix()))


if __name__ == "__main__":  # for what of ours runs emerge in a process of its own
    sys.exit(main())

if getattr(multiprocessing.current_process(), "_inheriting", False):
    # A process that multiprocessing spawns imports its parent's script before all else; bin/emerge
    # readies Portage there, and what such a process says depends on it.
    emerge.load()
