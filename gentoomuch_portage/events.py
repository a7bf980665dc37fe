"""What happens in a run, a line an event, for whoever listens: ``--gm-json=FILE``."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage import files


class Events(NamedTuple):
    """Where events go; nowhere without a file."""

    file: Path | None

    def tell(self, event: str, **more: Any) -> None:
        """Append one event: ``{"event", "at", ...}``, ``at`` in seconds since the epoch.

        Safe from several processes: resolving happens in a fork.

        Raises:
            NoPrivilege: the file cannot be written.
        """
        if self.file is not None:
            files.append(self.file, json.dumps({"event": event, "at": round(time.time(), 3), **more}, sort_keys=True))
