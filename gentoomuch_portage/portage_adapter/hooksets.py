"""The section of sets.conf that plain emerge has from us.

Portage makes its sets before it resolves, whatever is asked of it.
"""

from collections.abc import Mapping
from typing import Any

from portage._sets import SetConfigError, get_boolean
from portage.exception import InvalidAtom

from gentoomuch_portage.errors import GmError
from gentoomuch_portage.ledger import Entry
from gentoomuch_portage.portage_adapter import held, kept

_VALUES = ("CFLAGS", "CHOST", "ACCEPT_CHOSTS", "ELIBC", "PORTAGE_CONFIGROOT")


class HookSets:
    """Does what the words of the section switch on; all that comes of it as a set is ``@gm-unmasked``."""

    @classmethod
    def multiBuilder(cls, options: Mapping[str, str], settings: Any, trees: Any) -> dict[str, Any]:  # noqa: N802 - Portage's name
        """Portage's way to make the sets of a section, for each root.

        Args:
            options: the words of the section.

        Raises:
            SetConfigError: a name of Portage has moved, or a file of ours is wrong; it is shown, and emerge goes on
                without us.
        """
        if gone := [one.name for one in held.moved()]:
            raise SetConfigError(f"Portage has moved {', '.join(gone)}: no hook of gentoomuch does anything")
        values = {name: settings.get(name, "") for name in _VALUES}
        try:
            if get_boolean(options, "filter", False):
                cls.filter(options, values)
            if not get_boolean(options, "unmask", False):
                return {}
            return cls._kept(cls.unmasked(options, values), values, settings, trees["vartree"].dbapi)
        except GmError as error:
            raise SetConfigError(f"{error.message}: gentoomuch does nothing here") from error

    @classmethod
    def _kept(
        cls, entries: tuple[Entry, ...], values: Mapping[str, str], settings: Any, vardb: Any
    ) -> dict[str, kept.Unmasked]:
        try:
            if not cls.composed(values):
                kept.let_through(settings, kept.kept(entries, vardb))
        except (AttributeError, InvalidAtom) as error:
            raise SetConfigError(f"gentoomuch can let nothing through that it has unmasked: {error}") from error
        return {"gm-unmasked": kept.Unmasked(entries, vardb)}

    @classmethod
    def filter(cls, options: Mapping[str, str], values: Mapping[str, str]) -> None:
        """Refuse binary packages; called whenever Portage reads its configuration.

        Args:
            values: CFLAGS, the ABI's variables and PORTAGE_CONFIGROOT of the configuration that was read.
        """
        raise NotImplementedError

    @classmethod
    def unmasked(cls, options: Mapping[str, str], values: Mapping[str, str]) -> tuple[Entry, ...]:
        """What was unmasked for profiles."""
        raise NotImplementedError

    @classmethod
    def composed(cls, values: Mapping[str, str]) -> bool:
        """Whether the configuration is that of a profile, and says all this by itself."""
        raise NotImplementedError
