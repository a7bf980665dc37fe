"""``python -m gentoomuch_portage.cli.pages DIR`` writes the pages below a folder."""

import sys
from pathlib import Path

from gentoomuch_portage import console, files
from gentoomuch_portage.cli import pages

if len(sys.argv) != 2:
    console.tell("usage: python -m gentoomuch_portage.cli.pages DIR")
    raise SystemExit(64)
for name, text in pages.made().items():
    files.write(Path(sys.argv[1]) / name, text)
    console.say(f"{sys.argv[1]}/{name}")
