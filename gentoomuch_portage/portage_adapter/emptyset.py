"""A package set without packages: Portage imports the class of a set before it resolves, whatever is asked of it."""

from collections.abc import Mapping
from typing import Any, Self

from portage._sets import SetConfigError
from portage._sets.base import EditablePackageSet

from gentoomuch_portage.portage_adapter import held

_VALUES = ("CFLAGS", "ROOT", "CHOST", "ACCEPT_CHOSTS", "ELIBC")


class EmptySet(EditablePackageSet):  # type: ignore[misc]
    """Does something when Portage reads sets.conf, and is empty."""

    _operations = ("merge",)

    @classmethod
    def singleBuilder(cls, options: Mapping[str, str], settings: Any, trees: Any) -> Self:  # noqa: N802 - Portage's name
        """Portage's way to make a set of a section.

        Args:
            options: the words of the section.

        Raises:
            SetConfigError: a name of Portage has moved; it is shown, and emerge goes on without us.
        """
        if gone := [one.name for one in held.moved()]:
            raise SetConfigError(f"Portage has moved {', '.join(gone)}: {cls.description} does nothing")
        cls.begin(options, {name: settings.get(name, "") for name in _VALUES})
        return cls()

    @classmethod
    def begin(cls, options: Mapping[str, str], values: Mapping[str, str]) -> None:
        """Do what the set is for; called whenever Portage reads its configuration.

        Args:
            values: CFLAGS, ROOT and the ABI's variables of the configuration that was read.
        """
        raise NotImplementedError

    def load(self) -> None:
        """Nothing is in it."""
        self._setAtoms([])
