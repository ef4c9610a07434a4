"""Holds: what a signal of another house keeps a person or a device at, over what the registers say.

A held person who is `active` counts as suspended, a held device that is `in_service` as quarantined. The registers'
own words stay as they are, so no import overwrites a hold, and lifting one gives back exactly what they say.

INVARIANT (only ever narrower): a hold changes one word into a stricter one, and no other. The order of events is
that of their own time: an older one never undoes a newer one, and of two of one instant the hold stands.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from sqlalchemy import insert, select, update

from pdp.model.directory import Device, User
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.directory.changes import Change

HeldRegister = Literal["users", "devices"]
Cause = Literal["account", "compliance", "risk"]
_T: Final = tables.directory_holds
_Held = TypeVar("_Held", User, Device)


@dataclass(frozen=True, slots=True)
class Hold:
    """`source` put it there because of an event at `at`. A lifted one stays, as the memory of when."""

    register: HeldRegister
    id: str
    source: str
    cause: Cause
    held: bool
    at: datetime
    changed_at: datetime


def set_hold(inside: Change, hold: Hold) -> bool:
    """Put a hold, or lift the one of the same source and cause; False where nothing changed for decisions.

    A lift without a hold before it is remembered all the same: the hold may come late.
    """
    same = (
        (_T.c.register == hold.register)
        & (_T.c.id == hold.id)
        & (_T.c.source == hold.source)
        & (_T.c.cause == hold.cause)
    )
    row = inside.connection.execute(select(_T.c.held, _T.c.at).where(same)).first()
    values = {"held": hold.held, "at": hold.at, "changed_at": hold.changed_at}
    if row is None:
        key = {"register": hold.register, "id": hold.id, "source": hold.source, "cause": hold.cause}
        inside.connection.execute(insert(_T), {**key, **values})
        was_held = False
    elif hold.at < row.at or (hold.at == row.at and row.held):
        return False
    else:
        inside.connection.execute(update(_T).where(same).values(values))
        was_held = row.held
    if was_held == hold.held:
        return False
    inside.note(hold.register, hold.id)
    return True


def lift_by_hand(inside: Change, register: HeldRegister, id_: str, now: datetime) -> int:
    """Lift every hold of this row, whoever put it; how many there were. An event from before now puts none back."""
    these = (_T.c.register == register) & (_T.c.id == id_) & _T.c.held
    lifted = inside.connection.execute(update(_T).where(these).values(held=False, at=now, changed_at=now)).rowcount
    if lifted:
        inside.note(register, id_)
    return lifted


def list_holds(connection: Connection) -> list[Hold]:
    """The holds that stand, by register and id."""
    query = select(_T).where(_T.c.held).order_by(_T.c.register, _T.c.id, _T.c.source, _T.c.cause)
    return [
        Hold(row.register, row.id, row.source, row.cause, row.held, row.at, row.changed_at)
        for row in connection.execute(query)
    ]


def read_held(connection: Connection, among: Collection[str] | None = None) -> dict[HeldRegister, set[str]]:
    """The ids that are held, by register. `among`: only these are asked about.

    There may be many: whoever left stays held for good, and workers read after every change of a register.
    """
    query = _QUERY_HELD
    if among is not None and len(among) <= _MOST_NAMED:
        query = query.where(_T.c.id.in_(sorted(among)))
    found: dict[HeldRegister, set[str]] = defaultdict(set)
    for register, id_ in connection.execute(query):
        found[register].add(id_)
    return found


_QUERY_HELD: Final = select(_T.c.register, _T.c.id).where(_T.c.held).distinct()
_MOST_NAMED: Final = 500  # ids in one query; beyond it all that are held are read


def with_holds(rows: Mapping[str, _Held], held: Collection[str]) -> Mapping[str, _Held]:
    """The rows as decisions see them; `rows` itself where none of them is held."""
    kept = {id_: _held(rows[id_]) for id_ in held if id_ in rows}
    return MappingProxyType({**rows, **kept}) if kept else rows


def _held(row: _Held) -> _Held:
    if isinstance(row, User):
        return replace(row, status="suspended") if row.status == "active" else row
    return replace(row, state="quarantined") if row.state == "in_service" else row
