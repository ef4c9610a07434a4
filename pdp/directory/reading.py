"""Reads registers out of the store, whole or some keys of them, within the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select

from pdp.directory.registers import Alias, Registers
from pdp.directory.rows import Reader
from pdp.model.directory import Emergency, SegmentFrom, WorkPermit
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import Column, Connection, Select, Table

    from pdp.model.directory import CatalogueRow, Device, Loan, Permit, Post, PostureReport, User

_CHUNK: Final = 500  # keys in one query: below every limit of parameters


def read_registers(connection: Connection, *, with_aliases: bool = True) -> Registers:
    """Every register, each in the order of its keys. Aliases: decisions do not need them."""
    reader = Reader()
    return Registers(
        users=read_users(connection, reader),
        devices=read_devices(connection, reader),
        posture=read_posture(connection, reader),
        aliases=read_aliases(connection) if with_aliases else {},
        permits=dict(read_permits(connection, reader)),
        loans=dict(read_loans(connection, reader)),
        work_permits=read_work_permits(connection, reader),
        resources=read_resources(connection, reader),
        emergencies=read_emergencies(connection, reader),
    )


def read_users(connection: Connection, reader: Reader, keys: Collection[str] | None = None) -> dict[str, User]:
    columns = ("id", "kind", "organisation", "identity_source", "roles", "starts", "ends", "status", "name")
    users = list(_rows(connection, tables.users, columns, "id", keys))
    if not users:  # as with each person whom a provisioner brings
        return {}
    posts: dict[str, list[Post]] = defaultdict(list)
    for row in _rows(connection, tables.posts, ("user_id", "department", "starts", "ends"), "user_id", keys):
        posts[row[0]].append(reader.post(row))
    return {row[0]: reader.user(row, tuple(posts.get(row[0], ()))) for row in users}


def read_devices(connection: Connection, reader: Reader, keys: Collection[str] | None = None) -> dict[str, Device]:
    """Devices without their posture."""
    columns = tuple(column.name for column in tables.devices.columns)
    return {row[0]: reader.device(row) for row in _rows(connection, tables.devices, columns, "id", keys)}


_POSTURE: Final = (
    "key",
    "device_id",
    "certificate",
    "disk_encrypted",
    "edr_running",
    "edr_risk",
    "av_current",
    "firewall",
    "screen_lock",
    "tampered",
    "patch_age_days",
    "observed_at",
    "source",
)


def read_posture(
    connection: Connection, reader: Reader, devices: Collection[str] | None = None
) -> dict[str, PostureReport]:
    """What each source says of these devices, or of all, by `posture_key`."""
    rows = _rows(connection, tables.posture_reports, _POSTURE, "device_id", devices)
    return {row[0]: reader.posture(row) for row in rows}


def read_reports_of(connection: Connection, reader: Reader, source: str) -> dict[str, PostureReport]:
    """Everything that this source says, by `posture_key`."""
    table = tables.posture_reports
    query = select(*(table.c[name] for name in _POSTURE)).where(table.c.source == source)
    return {row[0]: reader.posture(row) for row in connection.execute(query)}


def read_aliases(connection: Connection, devices: Collection[str] | None = None) -> dict[str, Alias]:
    """The other names of these devices, or of all."""
    rows = _rows(connection, tables.device_aliases, ("key", "device_id", "source"), "device_id", devices)
    return {row[0]: Alias(row[1], row[2]) for row in rows}


def read_permits(
    connection: Connection, reader: Reader, devices: Collection[str] | None = None
) -> Iterator[tuple[str, Permit]]:
    """(key, permit) of these devices, or of all, in the order of the keys."""
    columns = ("key", "device_id", "user_id", "starts", "ends", "held")
    for row in _rows(connection, tables.permits, columns, "device_id", devices):
        yield row[0], reader.permit(row)


def read_loans(
    connection: Connection, reader: Reader, devices: Collection[str] | None = None
) -> Iterator[tuple[str, Loan]]:
    """(key, loan) of these devices, or of all, in the order of the keys."""
    columns = ("key", "device_id", "user_id", "starts", "ends")
    for row in _rows(connection, tables.loans, columns, "device_id", devices):
        yield row[0], reader.loan(row)


def read_work_permits(connection: Connection, reader: Reader) -> dict[str, WorkPermit]:
    users = _named(connection, tables.work_permit_users, "user_id")
    devices = _named(connection, tables.work_permit_devices, "device_id")
    resources = _named(connection, tables.work_permit_resources, "resource_id")
    return {
        row[0]: WorkPermit(
            id=row[0],
            users=frozenset(users.get(row[0], ())),
            resources=frozenset(resources.get(row[0], ())),
            devices=frozenset(devices.get(row[0], ())),
            period=reader.period(row[1], row[2]),
        )
        for row in _rows(connection, tables.work_permits, ("id", "starts", "ends"), "id", None)
    }


def read_resources(connection: Connection, reader: Reader) -> dict[str, CatalogueRow]:
    segments: dict[str, list[SegmentFrom]] = defaultdict(list)
    for row in _rows(connection, tables.resource_segments, ("resource_id", "segment", "starts"), "resource_id", None):
        segments[row[0]].append(SegmentFrom(row[1], row[2]))
    columns = tuple(column.name for column in tables.resources.columns)
    return {
        row[0]: reader.resource(row, tuple(segments.get(row[0], ())))
        for row in _rows(connection, tables.resources, columns, "id", None)
    }


def read_emergencies(connection: Connection, reader: Reader) -> dict[str, Emergency]:
    rows = _rows(connection, tables.emergencies, ("key", "starts", "ends", "reason"), "key", None)
    return {row[0]: reader.emergency(row) for row in rows}


def _named(connection: Connection, table: Table, column: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in _rows(connection, table, ("work_permit_id", column), "work_permit_id", None):
        found[row[0]].append(row[1])
    return found


def _rows(
    connection: Connection, table: Table, columns: tuple[str, ...], key: str, keys: Collection[str] | None
) -> Iterator[Any]:
    """Rows in the order of the primary key; of all, or of those whose `key` is among `keys`."""
    if keys is None:
        yield from connection.execute(_query(table, columns, None))
        return
    for chunk in _chunks(sorted(keys)):
        yield from connection.execute(_query(table, columns, key), {"among": chunk})


@cache  # one for each place that calls `_rows`: to build a query costs as much as to carry it out for one key
def _query(table: Table, columns: tuple[str, ...], key: str | None) -> Select[Any]:
    chosen: list[Column[Any]] = [table.c[name] for name in columns]
    query = select(*chosen).order_by(*table.primary_key.columns)
    return query if key is None else query.where(table.c[key].in_(bindparam("among", expanding=True)))


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
