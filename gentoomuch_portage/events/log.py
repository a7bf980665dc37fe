"""What happens in a run, a line an event, for whoever listens: ``--gm-json=FILE``."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple, Self

from gentoomuch_portage import console, fs


class Events(NamedTuple):
    """Where events go; nowhere without a file or a descriptor."""

    file: Path | None
    stdout: int | None = None

    @classmethod
    def into(cls, said: str | None) -> Self:
        """Where ``--gm-json=`` wants them; ``-`` has stdout for itself from now on, and all else goes to stderr."""
        if said == "-":
            return cls(None, console.set_apart())
        return cls(Path(said).absolute() if said else None)

    def tell(self, event: str, **more: Any) -> dict[str, Any]:
        """Append one event, and return it: ``{"event", "at", ...}``, ``at`` in seconds since the epoch.

        Safe from several processes: what is fetched is judged in a fork.

        Raises:
            NoPrivilege: it cannot be written.
        """
        told = {"event": event, "at": round(time.time(), 3), **more}
        if self.stdout is not None:
            fs.put(self.stdout, "standard output", json.dumps(told, sort_keys=True))
        if self.file is not None:
            fs.append(self.file, json.dumps(told, sort_keys=True))
        return told
