# SPDX-License-Identifier: GPL-2.0-or-later
"""The program gm-emerge: plain emerge, or ``emerge.run`` if an option, a variable or a profile asks for it."""

import gc
import multiprocessing
import os
import sys
from collections.abc import Callable

from gentoomuch_portage import startup
from gentoomuch_portage.dotgentoo.arguments import find_projects
from gentoomuch_portage.errors import GmError

_OUR_STATUS = 64
"""The lowest exit status of our own errors."""


def main() -> int:
    """The program ``gm-emerge``."""
    startup.prepare()
    startup.speak_utf8()
    gc.disable()  # until all modules are imported
    return run_to_end(lambda: start(sys.argv[0], sys.argv[1:]))


def run_to_end(run: Callable[[], int]) -> int:
    """Call what runs emerge, report its errors, and close Portage's event loop; a signal ends this process."""
    command = tuple(sys.argv)  # Portage changes it
    try:
        status = run()
    except GmError as error:
        from gentoomuch_portage import console

        return console.error(error)
    except SystemExit as ended:  # emerge does not know an option
        _print_hint(ended.code, command)
        raise
    except KeyboardInterrupt as signalled:
        startup.ended_by(signalled)
    except (AttributeError, ImportError) as error:
        from gentoomuch_portage import console
        from gentoomuch_portage.portage_adapter import private_api

        if cause := private_api.find_cause(error):
            return console.error(cause)
        raise
    finally:
        if emerge := sys.modules.get("gentoomuch_portage.portage_adapter.emerge"):
            emerge.close()
    _print_hint(status, command)
    return status


def _print_hint(status: object, command: tuple[str, ...]) -> None:
    """Print a hint if emerge has failed on an argument such as ``.`` or ``--profile=NAME``."""
    if isinstance(status, int) and 0 < status < _OUR_STATUS:
        from gentoomuch_portage.emerge import hints

        hints.print_hint(command[0], command[1:])


def start(program: str, argv: list[str]) -> int:
    """Run emerge, for a profile if one is given or active; return the exit status.

    Args:
        program: the name or path of the program; ``router-emerge`` selects the profile router.
    """
    from gentoomuch_portage.portage_adapter import emerge  # first, as it imports most modules that are needed anyway

    emerge.load()
    name = os.path.basename(program)
    if not _is_for_us(name, argv):
        status = emerge.emerge(argv)
        if any(map(emerge.may_print_help, argv)):
            from gentoomuch_portage.emerge import banner

            banner.print_addition(argv)
        return status
    from gentoomuch_portage.emerge.run import run

    return run(name, argv)


def _is_for_us(name: str, argv: list[str]) -> bool:
    """Whether a run needs more than plain emerge. It imports little, as each plain run calls it."""
    if name.endswith("-emerge") and name != "gm-emerge":
        return True
    if any(word.startswith("--gm-") for word in argv):
        return True
    if any(key.startswith("GM_") for key in os.environ):
        return True
    if find_projects(argv):
        return True
    from gentoomuch_portage.config.settings import chosen
    from gentoomuch_portage.portage_adapter import paths

    return bool(chosen(os.environ, paths.eprefix()))


if __name__ == "__main__":  # for our code that runs emerge in another process
    startup.end(main())

if getattr(multiprocessing.current_process(), "_inheriting", False):
    # A process that multiprocessing spawns imports its parent's script first. bin/emerge prepares Portage
    # there, and the output of such a process depends on it.
    from gentoomuch_portage.portage_adapter import emerge

    emerge.load()
