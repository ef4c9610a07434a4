"""Controls of an allow, and those that somebody behind an enforcement point carries out, with their values.

A mapping's `enforces` names controls that have one meaning (`record_session`, `print`), and says the value of those
that have many: `session_max_minutes=60`, `end_at=work_permit_until`. What is carried out less strictly than an allow
asks is not carried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SESSION_MAX: Final = "session_max_minutes"
END_AT: Final = "end_at"
_END_OF_WINDOW: Final = (
    "(work_permit_until)"  # `pdp.export.building.END_OF_WINDOW`, as rules and the policy's space say it
)
_WORDS: Final = {END_AT: "work_permit_until"}
_MAX_DIGITS: Final = 6


def refuse_controls(enforces: Collection[str], *, valued_by_files: Collection[str] = ()) -> None:
    """Raises SettingsError for a control whose value has to be said. `valued_by_files`: the exported files say it."""
    for one in enforces:
        name, equals, said = one.partition("=")
        if name == SESSION_MAX and not (_minutes(said) or (not equals and name in valued_by_files)):
            raise SettingsError(f"`enforces`: say after how many minutes: `{SESSION_MAX}=60`")
        if name == END_AT and said != _WORDS[END_AT]:
            raise SettingsError(
                f"`enforces`: `{END_AT}={_WORDS[END_AT]}`, where sessions end with the window of the work permit"
            )
        if name not in (SESSION_MAX, END_AT) and equals:
            raise SettingsError(f"`enforces`: `{name}` has no value of its own")


def carried_out(control: str, value: str | int, enforces: Collection[str]) -> bool:
    """Whether these controls carry this one out, at least as strictly as `value`."""
    if control == SESSION_MAX:
        return any(_is_within(one, value) for one in enforces)
    if control == END_AT:
        return value == _END_OF_WINDOW and f"{END_AT}={_WORDS[END_AT]}" in enforces
    return isinstance(value, str) and control in enforces  # a word: `off`, `on`, `admins`


def lacking(controls: Mapping[str, str | int], enforces: Collection[str]) -> list[str]:
    """The controls of an allow that nobody carries out."""
    return [name for name, value in controls.items() if not carried_out(name, value, enforces)]


def _is_within(one: str, value: str | int) -> bool:
    name, _, said = one.partition("=")
    minutes = _minutes(said)
    return name == SESSION_MAX and isinstance(value, int) and 0 < minutes <= value


def _minutes(said: str) -> int:
    """Whole minutes; 0 for anything else."""
    return int(said) if said.isascii() and said.isdigit() and len(said) <= _MAX_DIGITS else 0
