"""What the mappings of all targets have in common: what is given, which facts may be, and ids that stand once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from pdp.errors import SettingsError
from pdp.model.input import ACTIONS
from pdp.model.rules import section_of

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterable, Mapping

    from pdp.model.rules import FactValue, Section

CONTROLS: Final = ("clipboard", "print", "save", "download", "browser_only", "record_session")  # words of `context.pep`
OF_TRAFFIC: Final[frozenset[Section]] = frozenset(
    {"network", "authentication"}
)  # sections that a tenant's traffic can have in common
_TENANT: Final = "resource.tenant"  # the one fact of requests that a whole tenant can rule out

Mapped = TypeVar("Mapped", bound=msgspec.Struct)


def converted(mapping: Mapping[str, Any], form: type[Mapped], target: str) -> Mapped:
    """The administrator's mapping in the form of a target. Raises SettingsError with the place of what is wrong."""
    try:
        return msgspec.convert(dict(mapping), form)
    except msgspec.ValidationError as fault:
        raise SettingsError(f"the mapping of {target}: {fault}") from None


def given_with_controls(given: Mapping[str, FactValue], enforces: Collection[str]) -> dict[str, FactValue]:
    """What is given at an enforcement point, and the controls that somebody behind it carries out."""
    return {**{f"context.pep∋{word}": word in enforces for word in CONTROLS}, **given}


def section(name: str, key: str) -> Section:
    """The section of a fact that stands below a key of the mapping. Raises SettingsError for a name that is no fact."""
    try:
        return section_of(name)
    except KeyError:
        raise SettingsError(f"`{key}`: there is no fact `{name}`") from None


def refuse_given(given: Iterable[str], sections: Collection[Section], key: str = "given") -> None:
    """Raises SettingsError. Attack: a fact of the person or the device that is `given` is asked of nobody."""
    for name in given:
        if name != _TENANT and section(name, key) not in sections:
            raise SettingsError(f"`{key}`: `{name}` differs from one access to the next")


def refuse_action(name: str, action: str | None) -> None:
    """Raises SettingsError for a place where something is done that is no action."""
    if action is not None and action not in ACTIONS:
        raise SettingsError(f"`{name}`: there is no action `{action}`")


def refuse_ids(key: str, ids: Iterable[str], form: re.Pattern[str]) -> None:
    """Raises SettingsError. Attack: two sets with one id make the members of the wider one members of the other."""
    seen: set[str] = set()
    for one in ids:
        if form.fullmatch(one) is None:
            raise SettingsError(f"`{key}`: `{one}` is no id of the tenant")
        if one.casefold() in seen:
            raise SettingsError(f"`{key}`: `{one}` stands for two things")
        seen.add(one.casefold())
