# SPDX-License-Identifier: GPL-2.0-or-later
"""The smallest build back end there can be. Source: PEP 517, PEP 427."""

import zipfile
from pathlib import Path
from typing import Any

INFO = "gm_lamp-1.0.dist-info"
FILES = {
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: gm-lamp\nVersion: 1.0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/entry_points.txt": "[gentoomuch_portage]\nlamp = gm_lamp\n",
}


def build_wheel(folder: str, settings: Any = None, metadata: Any = None) -> str:
    """Pack the one module."""
    files = {**FILES, "gm_lamp.py": Path("gm_lamp.py").read_text(encoding="utf-8")}
    files[f"{INFO}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{INFO}/RECORD"])
    with zipfile.ZipFile(Path(folder) / "gm_lamp-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "gm_lamp-1.0-py3-none-any.whl"
