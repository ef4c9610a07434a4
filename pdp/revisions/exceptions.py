"""例外措置 and 災害時運用: asked for by one person, granted by another, ended by themselves.

What is granted is a row of the directory with its end, as an import would bring it: a declaration of a disaster, a work
permit (作業申請) for named people, systems and terminals, a permit (利用許可) for one private device of one person. So
policies see nothing new, and an exception ends at its instant without anybody doing anything.

An import that replaces the register may take such a row away; then the exception is no longer in force, and
`Standing.in_force` says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import insert, select, update

from pdp.directory.changes import Change
from pdp.directory.registers import id_fault, key_of
from pdp.errors import BadRequestError, ConflictError, NotFoundError, NotPermittedError
from pdp.model.directory import Emergency, Period, Permit, WorkPermit
from pdp.revisions.person import MAY
from pdp.revisions.rows import begin, checked_reason
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.revisions.person import Deed, People, Person
    from pdp.store.store import Store

Kind = Literal["disaster", "work", "device"]
State = Literal["asked", "granted", "refused", "withdrawn", "ended"]
Decision = Literal["grant", "refuse", "withdraw", "end"]
# The longest of each: a declaration is renewed by somebody who looks again; a permit ends with the fiscal year.
LONGEST: Final[Mapping[Kind, timedelta]] = {
    "disaster": timedelta(days=14),
    "work": timedelta(days=92),
    "device": timedelta(days=366),
}
MAX_NAMES: Final = 200
MAX_LISTED: Final = 500
_TABLE: Final = tables.policy_exceptions


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom it is for. A disaster names nobody: it is everybody's."""

    users: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exemption:
    """One exception as it was asked for, and what became of it."""

    id: int
    kind: Kind
    state: State
    scope: Scope
    starts: datetime
    ends: datetime
    reason: str
    asked_by: str
    asked_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    note: str = ""
    row_key: str | None = None
    ended_by: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """`in_force`: granted, its row is in the directory, and now lies within it."""

    exemption: Exemption
    in_force: bool


class Exceptions:
    """Every method blocks, and is one transaction. Those that grant or end also give the directory's epoch."""

    def __init__(self, store: Store, people: People) -> None:
        self._store = store
        self._people = people

    def ask(  # noqa: PLR0913  # who asks, for whom, from when to when, and why
        self, person: Person, kind: Kind, scope: Scope, *, starts: datetime, ends: datetime, reason: str, now: datetime
    ) -> Exemption:
        """Raises BadRequestError for a time or a scope that cannot be, NotFoundError for a name that nobody has."""
        person.require("except")
        said = checked_reason(reason)
        _check_time(kind, starts, ends, now)
        _check_scope(kind, scope)
        with self._store.write() as connection:
            begin(connection)
            _require_names(connection, scope)
            values = {
                "kind": kind,
                "state": "asked",
                "scope": json.dumps({"users": scope.users, "devices": scope.devices, "resources": scope.resources}),
                "starts": starts,
                "ends": ends,
                "reason": said,
                "asked_by": person.id,
                "asked_at": now,
                "note": "",
            }
            made = connection.execute(insert(_TABLE).values(**values)).inserted_primary_key
            assert made is not None
            return _at(connection, made[0])

    def grant(self, person: Person, number: int, note: str, now: datetime) -> tuple[Exemption, int]:
        """A second person's word puts it into the directory. Raises NotPermittedError for whoever asked for it."""
        with self._store.write() as connection:
            found = self._decided(connection, person, "grant", number, "asked")
            if self._people.same(person.id, found.asked_by):
                raise NotPermittedError("nobody grants what they asked for themselves, under whatever name")
            if found.ends <= now:
                raise ConflictError("its time is over", next_step="ask for it again, with another end")
            _require_names(connection, found.scope)
            key, epoch = _enter(connection, found, now)
            said = {"state": "granted", "decided_by": person.id, "decided_at": now, "row_key": key}
            return _changed(connection, number, **said, note=checked_reason(note)), epoch

    def refuse(self, person: Person, number: int, note: str, now: datetime) -> Exemption:
        with self._store.write() as connection:
            self._decided(connection, person, "grant", number, "asked")
            said = {"state": "refused", "decided_by": person.id, "decided_at": now}
            return _changed(connection, number, **said, note=checked_reason(note))

    def withdraw(self, person: Person, number: int, note: str, now: datetime) -> Exemption:
        """By whoever asked, before anybody has decided."""
        with self._store.write() as connection:
            found = self._decided(connection, person, "except", number, "asked")
            if not self._people.same(person.id, found.asked_by):
                raise NotPermittedError("only who asked for it takes it back; an approver may refuse it")
            said = {"state": "withdrawn", "ended_by": person.id, "ended_at": now}
            return _changed(connection, number, **said, note=checked_reason(note))

    def end(self, person: Person, number: int, note: str, now: datetime) -> tuple[Exemption, int]:
        """Before its time: alone, because it takes something away and gives nobody anything."""
        with self._store.write() as connection:
            found = self._decided(connection, person, "end", number, "granted")
            epoch = _leave(connection, found, now)
            said = {"state": "ended", "ended_by": person.id, "ended_at": now}
            return _changed(connection, number, **said, note=checked_reason(note)), epoch

    def all(self, now: datetime, states: Collection[State] = ()) -> tuple[Standing, ...]:
        """The newest first."""
        query = select(_TABLE).order_by(_TABLE.c.id.desc()).limit(MAX_LISTED)
        if states:
            query = query.where(_TABLE.c.state.in_(states))
        with self._store.read() as connection:
            found = [_exemption(row) for row in connection.execute(query)]
            return tuple(Standing(one, _in_force(connection, one, now)) for one in found)

    def may(self, person: Person, one: Exemption) -> tuple[Decision, ...]:
        """What this person may do with it now, for whoever offers it; each method looks again."""
        own, can = self._people.same(person.id, one.asked_by), person.roles
        if one.state == "granted":
            return ("end",) if can & MAY["end"] else ()
        if one.state != "asked":
            return ()
        second: tuple[Decision, ...] = ("refuse",) if own else ("grant", "refuse")
        return (*(second if can & MAY["grant"] else ()), *(("withdraw",) if own and can & MAY["except"] else ()))

    def _decided(self, connection: Connection, person: Person, deed: Deed, number: int, state: State) -> Exemption:
        person.require(deed)
        begin(connection)
        found = _at(connection, number)
        if found.state != state:
            raise ConflictError(f"this exception is {found.state}", next_step="ask for another one")
        return found


def _check_time(kind: Kind, starts: datetime, ends: datetime, now: datetime) -> None:
    if ends <= max(starts, now):
        raise BadRequestError("it would end before it begins, or before now")
    if ends - starts > LONGEST[kind]:
        raise BadRequestError(f"an exception of this kind lasts at most {LONGEST[kind].days} days")


def _check_scope(kind: Kind, scope: Scope) -> None:
    if max(len(scope.users), len(scope.devices), len(scope.resources)) > MAX_NAMES:
        raise BadRequestError(f"more than {MAX_NAMES} names")
    for name in (*scope.users, *scope.devices, *scope.resources):
        if fault := id_fault(name):  # also what no database can hold: a NUL, half a character
            raise BadRequestError(f"the id `{name[:64]!a}` {fault}")
    counts = (bool(scope.users), bool(scope.devices), bool(scope.resources))
    if kind == "disaster" and any(counts):
        raise BadRequestError("a disaster is declared for everybody, and names nobody")
    if kind == "work" and not all(counts):
        raise BadRequestError("a work permit names its people, its terminals and its systems")
    if kind == "device" and (len(scope.users) != 1 or len(scope.devices) != 1 or scope.resources):
        raise BadRequestError("a device permit names one person and one device, and no system")


def _require_names(connection: Connection, scope: Scope) -> None:
    for table, names, what in ((tables.users, scope.users, "person"), (tables.devices, scope.devices, "device")):
        known = set(connection.execute(select(table.c.id).where(table.c.id.in_(names))).scalars()) if names else set()
        for name in names:
            if name not in known:
                raise NotFoundError(f"the directory knows no {what} `{name[:128]}`")


def _enter(connection: Connection, found: Exemption, now: datetime) -> tuple[str, int]:
    """Put the row into the directory; its key, and the new epoch. Raises ConflictError where one is there already."""
    inside = Change(connection, now)
    key = _key(found)
    if _row_exists(connection, found.kind, key):
        raise ConflictError("the directory has one with the same beginning", next_step="choose another beginning")
    period = Period(found.starts, found.ends)
    if found.kind == "disaster":
        inside.put_emergency(Emergency(period, found.reason))
    elif found.kind == "device":
        inside.put_permit(Permit(found.scope.devices[0], found.scope.users[0], period))
    else:
        scope = found.scope
        people, systems, devices = frozenset(scope.users), frozenset(scope.resources), frozenset(scope.devices)
        inside.put_work_permit(WorkPermit(key, people, systems, devices, period))
    inside.finish()
    return key, inside.epoch


def _leave(connection: Connection, found: Exemption, now: datetime) -> int:
    """Take the row away; the epoch."""
    inside = Change(connection, now)
    assert found.row_key is not None
    register: Any = {"disaster": "emergencies", "device": "permits", "work": "work_permits"}[found.kind]
    period = Period(found.starts, found.ends)
    rows: dict[str, Any] = {
        "disaster": Emergency(period),
        "work": None,
        "device": Permit(next(iter(found.scope.devices), ""), next(iter(found.scope.users), ""), period),
    }
    if _row_exists(connection, found.kind, found.row_key):
        inside.remove(register, {found.row_key: rows[found.kind]})
    inside.finish()
    return inside.epoch


def _key(found: Exemption) -> str:
    period = Period(found.starts, found.ends)
    if found.kind == "disaster":
        return key_of(Emergency(period))
    if found.kind == "device":
        return key_of(Permit(found.scope.devices[0], found.scope.users[0], period))
    return f"exception-{found.id}"


def _row_exists(connection: Connection, kind: Kind, key: str) -> bool:
    table, name = {
        "disaster": (tables.emergencies, "key"),
        "device": (tables.permits, "key"),
        "work": (tables.work_permits, "id"),
    }[kind]
    return connection.execute(select(table.c[name]).where(table.c[name] == key)).first() is not None


def _in_force(connection: Connection, one: Exemption, now: datetime) -> bool:
    holds = one.state == "granted" and one.row_key is not None and one.starts <= now < one.ends
    return holds and _row_exists(connection, one.kind, str(one.row_key))


def _at(connection: Connection, number: int) -> Exemption:
    row = connection.execute(select(_TABLE).where(_TABLE.c.id == number)).first()
    if row is None:
        raise NotFoundError(f"there is no exception {number}")
    return _exemption(row)


def _changed(connection: Connection, number: int, **values: Any) -> Exemption:
    connection.execute(update(_TABLE).where(_TABLE.c.id == number).values(**values))
    return _at(connection, number)


def _exemption(row: Any) -> Exemption:
    said = json.loads(row.scope)
    scope = Scope(tuple(said["users"]), tuple(said["devices"]), tuple(said["resources"]))
    fields = {name: getattr(row, name) for name in Exemption.__slots__ if name != "scope"}
    return Exemption(scope=scope, **fields)
