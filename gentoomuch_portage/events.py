"""What happens in a run, a line an event, for whoever listens: ``--gm-json=FILE``."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage import files


class Events(NamedTuple):
    """Where events go; nowhere without a file."""

    file: Path | None

    def tell(self, event: str, **more: Any) -> dict[str, Any]:
        """Append one event, and return it: ``{"event", "at", ...}``, ``at`` in seconds since the epoch.

        Safe from several processes: what is fetched is judged in a fork.

        Raises:
            NoPrivilege: the file cannot be written.
        """
        told = {"event": event, "at": round(time.time(), 3), **more}
        if self.file is not None:
            files.append(self.file, json.dumps(told, sort_keys=True))
        return told
