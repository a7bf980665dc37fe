"""``@gm-patches-changed``: what is installed with other user patches than it would get now."""

from collections.abc import Mapping
from typing import Any, Self

from portage._sets.base import PackageSet

from gentoomuch_portage.portage_adapter import userpatches


class Changed(PackageSet):  # type: ignore[misc]
    """A set that empties itself by being merged."""

    _operations = ("merge", "unmerge")
    description = "installed packages whose user patches are no longer those that they were built with"

    def __init__(self, settings: Any, vardb: Any) -> None:
        super().__init__()
        self._settings, self._vardb = settings, vardb

    @classmethod
    def singleBuilder(cls, options: Mapping[str, str], settings: Any, trees: Any) -> Self:  # noqa: N802 - Portage's name
        """Portage's way to make a set of a section."""
        return cls(settings, trees["vartree"].dbapi)

    def load(self) -> None:
        """Find them, by slot, so that the version that is best now takes their place."""
        found = userpatches.changed(self._settings, self._vardb)
        self._setAtoms(sorted({f"{self._vardb._pkg_str(cpv, None).cp}:{slot}" for cpv, slot, _, _ in found}))
