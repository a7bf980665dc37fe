"""``python -m gentoomuch_portage.embedded [DIR]``: the demo, without the command line around it."""

import sys
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.embedded import story


def main() -> int:
    """Tell the story in a folder, ``gentoomuch-demo`` where none is named."""
    with console.shown() as end:
        end.status = story.tell(Path(next(iter(sys.argv[1:]), "gentoomuch-demo")))
    return end.status


if __name__ == "__main__":
    sys.exit(main())
