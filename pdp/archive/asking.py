"""How the decision log is asked: filters, pages, groups. The seam between engines and those who ask (commands, API).

All times here are UTC without an offset, as they stand in the store; `since` is in the time asked for, `until` is not.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast, get_args
from uuid import UUID

from pdp.archive.queries import moment
from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

GroupBy = Literal[
    "hour", "day", "reason", "department", "resource", "outcome", "caller", "device_class", "revision", "person"
]
GROUPS: Final[tuple[GroupBy, ...]] = get_args(GroupBy)
OUTCOMES: Final = ("allow", "limit", "step_up", "deny")
KINDS: Final = ("decision", "refusal")

MAX_PAGE: Final = 1_000  # rows of a page; more is an export
MAX_GROUPS: Final = 10_000  # rows of a grouping: more than anybody reads, fewer than there are people times hours
DIMENSIONS: Final = 2  # of a grouping: rows and columns of a table
_MAX_TEXT: Final = 1_000  # characters; no id of a person, device or resource is near
_MAX_VALUES: Final = 32  # of a filter that takes several; there are fewer than 100 reasons


@dataclass(frozen=True, slots=True)
class Filters:
    """Which records. What is None or empty does not narrow; several outcomes or reasons mean any of them.

    `department` is any of the person's, `action` the action as the policy named it or as it was asked for.
    `exception`: permitted in emergency mode, to an emergency account or for a disaster's resources, as report 02 has
    it. `within` is no wish of the asker's but the bound set on him: the departments whose people he may see; empty
    is nobody.
    """

    since: datetime
    until: datetime
    person: str | None = None
    department: str | None = None
    device: str | None = None
    resource: str | None = None
    resource_group: str | None = None
    outcomes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    caller: str | None = None
    revision: str | None = None
    source_ip: str | None = None
    action: str | None = None
    kind: str | None = None
    exception: bool | None = None
    disaster_mode: bool | None = None
    request_id: str | None = None
    trace_id: str | None = None
    within: tuple[str, ...] | None = None


TEXTS: Final = (
    *("person", "department", "device", "resource", "resource_group", "caller", "revision", "source_ip", "action"),
    *("request_id", "trace_id"),
)
_FLAGS: Final = ("exception", "disaster_mode")
_FLAG: Final = {"true": True, "false": False}
PARAMETERS: Final = ("since", "until", *TEXTS, "outcome", "reason", "kind", *_FLAGS)
"""What `filters_of` takes. `outcome` and `reason` may be given several times."""


def filters_of(params: Mapping[str, Sequence[str]]) -> Filters:
    """Filters from the parameters of a query string or a command.

    Raises BadRequestError for an unknown name, a missing or bad time, a value that is too long or none of those
    that there are, and a value given twice where one is taken.
    """
    for name in params:
        if name not in PARAMETERS:
            raise BadRequestError(f"there is no filter `{_shown(name)}`", next_step=f"use {', '.join(PARAMETERS)}")
    given: dict[str, Any] = {name: _one(name, params) for name in TEXTS}
    since, until = (_time(name, params) for name in ("since", "until"))
    if since >= until:
        raise BadRequestError("`since` must lie before `until`", next_step="give the earlier time as `since`")
    kind = _one("kind", params)
    if kind is not None and kind not in KINDS:
        raise _no_such("kind", KINDS)
    outcomes = _several("outcome", params)
    if not set(outcomes) <= set(OUTCOMES):
        raise _no_such("outcome", OUTCOMES)
    given |= {name: _flag(name, params) for name in _FLAGS}
    return Filters(since, until, **given, outcomes=outcomes, reasons=_several("reason", params), kind=kind)


def groups_of(text: str) -> tuple[GroupBy, ...]:
    """The dimensions of a grouping, as `hour,reason`. Raises BadRequestError for none, three, one twice or no such."""
    found = tuple(text.split(","))
    if not set(found) <= set(GROUPS):
        raise _no_such("by", GROUPS)
    if len(found) > DIMENSIONS or len(set(found)) != len(found):
        raise BadRequestError(f"`by` takes 1 to {DIMENSIONS} different dimensions", next_step="as `hour,reason`")
    return cast("tuple[GroupBy, ...]", found)


def offset_text(utc_offset_min: int) -> str:
    """Minutes east of Greenwich, as RFC 3339 writes them."""
    hours, minutes = divmod(abs(utc_offset_min), 60)
    return f"{'-' if utc_offset_min < 0 else '+'}{hours:02}:{minutes:02}"


def _several(name: str, params: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(params.get(name, ())))
    if len(values) > _MAX_VALUES:
        raise BadRequestError(f"`{name}` is given more than {_MAX_VALUES} times", next_step="ask in parts")
    return tuple(_text(name, value) for value in values)


def _one(name: str, params: Mapping[str, Sequence[str]]) -> str | None:
    values = params.get(name, ())
    if len(values) > 1:
        raise BadRequestError(f"`{name}` is given more than once", next_step="give it once")
    return _text(name, values[0]) if values else None


def _text(name: str, value: str) -> str:
    if not 0 < len(value) <= _MAX_TEXT:
        raise BadRequestError(
            f"`{name}` is not a text of 1 to {_MAX_TEXT} characters", next_step="leave it out, or give a value"
        )
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, from bytes that are no UTF-8: no record holds one
        raise BadRequestError(f"`{name}` is not UTF-8", next_step="send it as UTF-8") from None
    return value


def _time(name: str, params: Mapping[str, Sequence[str]]) -> datetime:
    value = _one(name, params)
    if value is None:
        raise BadRequestError(f"`{name}` is missing", next_step="say from when to when: `since` and `until`")
    try:
        return moment(name, value)
    except (BadRequestError, OverflowError):
        raise BadRequestError(
            f"`{name}` is not a time with an offset",
            next_step="write it as `2026-04-01T00:00:00+09:00`; in a URL the `+` is `%2B`",
        ) from None


def _flag(name: str, params: Mapping[str, Sequence[str]]) -> bool | None:
    value = _one(name, params)
    if value is None:
        return None
    if value not in _FLAG:
        raise _no_such(name, tuple(_FLAG))
    return _FLAG[value]


def _no_such(name: str, known: Sequence[str]) -> BadRequestError:
    return BadRequestError(f"`{name}` has a value that there is not", next_step=f"use one of {', '.join(known)}")


def _shown(name: str) -> str:
    """A name of somebody's making, in a message."""
    return "".join(c if c.isprintable() and c != "`" else "?" for c in name[:40])


# -- pages ---------------------------------------------------------------------------------------------

_VERSION: Final = 1
_HEAD: Final = struct.Struct(
    ">Bq16sqB"
)  # version, microseconds since 1970, id, number in its segment, length of its name
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # times of the store are UTC without an offset


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page; the next begins after it.

    Time and id alone do not say where: one record may stand twice, as after a write that failed, and records that
    could not be read may have no id.
    """

    time: datetime
    id: str
    segment: str
    seq: int

    def text(self) -> str:
        """For a URL or a command line; what is in it is nobody's business."""
        micros = (self.time - _EPOCH) // timedelta(microseconds=1)
        name = self.segment.encode()
        packed = _HEAD.pack(_VERSION, micros, UUID(self.id).bytes, self.seq, len(name)) + name
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def cursor_of(text: str) -> Cursor:
    """Back from `Cursor.text`. Raises BadRequestError for anything else."""
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, micros, key, seq, length = _HEAD.unpack_from(packed)
        segment = packed[_HEAD.size :].decode()
        found = Cursor(_EPOCH + timedelta(microseconds=micros), str(UUID(bytes=key)), segment, seq)
        if version == _VERSION and len(packed) == _HEAD.size + length and found.text() == text:
            return found
    except (ValueError, OverflowError, struct.error):
        pass
    raise BadRequestError("`before` is not where a page ended", next_step="take it from the page before, unchanged")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows newest first, with the columns of `pdp.archive.search.BRIEF`. No `next`: there is nothing older."""

    table: pa.Table
    next: Cursor | None


class DecisionSearch(Protocol):
    """Answers questions over stored and fresh records alike; blocks: call it in a thread.

    Every method raises BadRequestError for what cannot be asked and NotReadyError where the answer cannot be had (in
    time, in its memory). An answer holds at most the engine's limit of rows, but for `stream`.
    """

    def page(self, filters: Filters, *, size: int, before: Cursor | None = None) -> Page:
        """The newest `size` (1 to `MAX_PAGE`) records, or those after a page; each record is on one page."""
        ...

    def count(self, filters: Filters) -> int:
        """How many records."""
        ...

    def group(
        self,
        filters: Filters,
        by: Sequence[GroupBy],
        *,
        utc_offset_min: int = 540,
        limit: int = 1_000,
        people: bool = True,
    ) -> pa.Table:
        """A column for each dimension, then `decisions` and, where asked for, `people` (distinct persons).

        By time where it is a dimension, else the most frequent first; `limit` rows at most (1 to `MAX_GROUPS`).
        `hour` and `day` are texts, as `2026-04-01T09:00:00+09:00` and `2026-04-01`, local to `utc_offset_min` (minutes
        east of Greenwich). A record counts once for each of its reasons where `reason` is a dimension, and for the
        first of a person's departments. Without `people`, whole hours are counted in a fraction of the time, from the
        counts of the store.
        """
        ...

    def one(self, decision_id: str, *, within: Sequence[str] | None = None, everywhere: bool = False) -> pa.Table:
        """The record of this id, all columns, as soon as it is written; no row where there is none.

        Looked for around the time in the id; `everywhere` also where a clock was set. `within` as in `Filters`.
        """
        ...

    def report(self, name: str, params: Mapping[str, object], *, within: Sequence[str] | None = None) -> pa.Table:
        """The answer to a question of `pdp.archive.queries`; `within` as in `Filters`."""
        ...

    def sql(self, text: str, *, since: datetime, until: datetime, within: Sequence[str] | None = None) -> pa.Table:
        """One SELECT over the relations of `pdp.archive.meanings`; `decisions` and `hourly` hold that time alone.

        `$since` and `$until` may stand in the text. Its parts and functions are those of `pdp.archive.sql_words`.
        With `within`, whether a statement fails may still tell of records outside: let nobody who is bound write one.
        """
        ...

    def stream(self, filters: Filters, *, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All records, oldest first, in bounded memory whatever their number; for exports.

        Batches have one schema; at least one comes, if empty. Close the iterator to end early.
        """
        ...
