"""The part of a record that the policy gave: what is compared. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from pdp.errors import RecordDamagedError

if TYPE_CHECKING:
    from pdp.declog.record import Record
    from pdp.model.decision import Verdict

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_NULL: Final = b"null"


class Answer(NamedTuple):
    """An answer as the store's columns hold it: `obligations` (None: none) and `context` are canonical JSON."""

    outcome: str
    reasons: tuple[str, ...]
    obligations: str | None
    required_auth_level: int | None
    context: str | None

    def as_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "obligations": {} if self.obligations is None else msgspec.json.decode(self.obligations),
            "required_auth_level": self.required_auth_level,
            "context": None if self.context is None else msgspec.json.decode(self.context),
        }


def answer_of(verdict: Verdict) -> Answer:
    return Answer(
        verdict.outcome.value,
        tuple(verdict.reasons),
        _encode(dict(verdict.obligations)).decode() if verdict.obligations else None,
        verdict.required_auth_level,
        None if verdict.context is None else _encode(verdict.context).decode(),
    )


def recorded_answer(record: Record) -> Answer:
    context = bytes(record.policy_context)
    return Answer(
        record.outcome,
        tuple(record.reasons),
        _encode(record.obligations).decode() if record.obligations else None,
        record.required_auth_level,
        None if context == _NULL else context.decode(),
    )


class Held(NamedTuple):
    """Of an answer that was held over in a time of warning (`pdp.grace`): whose permission it is, and until when."""

    former: str
    until: str

    @property
    def end(self) -> datetime:
        """Raises RecordDamagedError where it is no time."""
        try:
            return datetime.fromisoformat(self.until)
        except ValueError:
            raise RecordDamagedError("the record's time of warning ends at no time") from None


class _Warned(msgspec.Struct):
    class _Former(msgspec.Struct):
        digest: str

    former: _Former
    until: str


class _Context(msgspec.Struct):
    warned: _Warned | None = None


def held_in(record: Record) -> Held | None:
    """What a record of profile `zta` says of that; the two policies and the document give the answer again."""
    if record.profile != "zta" or bytes(record.policy_context) == _NULL:
        return None
    try:
        found = msgspec.json.decode(record.policy_context, type=_Context).warned
    except msgspec.MsgspecError:
        return None
    return None if found is None else Held(found.former.digest, found.until)


def parts_that_differ(one: Answer, other: Answer) -> tuple[str, ...]:
    return tuple(name for name in Answer._fields if getattr(one, name) != getattr(other, name))
