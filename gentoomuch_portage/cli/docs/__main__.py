"""``python -m gentoomuch_portage.cli.docs DIR`` writes the pages below a folder."""

import sys
from pathlib import Path

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli import docs

if len(sys.argv) != 2:
    console.tell("usage: python -m gentoomuch_portage.cli.docs DIR")
    raise SystemExit(64)
for name, text in docs.made().items():
    fs.write(Path(sys.argv[1]) / name, text)
    console.say(f"{sys.argv[1]}/{name}")
