"""The directory as decisions see it: loaded whole once, then kept up to date by what changed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import bindparam, select

from pdp.directory.holds import read_held, with_holds
from pdp.directory.reading import (
    read_devices,
    read_emergencies,
    read_loans,
    read_permits,
    read_posture,
    read_registers,
    read_resources,
    read_users,
    read_work_permits,
)
from pdp.directory.registers import posture_by_device, with_posture
from pdp.directory.rows import Reader
from pdp.directory.source_rows import read_sources
from pdp.model.source import up_until
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.model.directory import Device, Snapshot
    from pdp.model.input import SourceState
    from pdp.store.store import Store

MAX_DELTA: Final = 4_000  # changed rows; beyond it reading everything is as quick


class _Meta(NamedTuple):
    epoch: int
    kept_from: int
    posture_source: SourceState
    identity_source: SourceState


_META: Final = tables.directory_meta.c
_QUERY_META: Final = select(_META.epoch, _META.kept_from, _META.posture_source, _META.identity_source)
_QUERY_EPOCH: Final = select(_META.epoch)
_LOG: Final = tables.directory_changes.c
_QUERY_TOUCHED: Final = select(_LOG.register, _LOG.key).where(_LOG.epoch > bindparam("since")).distinct()


def current_epoch(store: Store) -> int:
    """The epoch that the store is at now; 0 for a directory that never held anything. Raises DirectoryError."""
    with store.read() as connection:
        return read_epoch(connection)


def read_epoch(connection: Connection) -> int:
    """The epoch in this transaction."""
    epoch: int = connection.execute(_QUERY_EPOCH).scalar_one()
    return epoch


def load_snapshot(store: Store, loaded_at: datetime | None = None) -> Snapshot:
    """The whole directory, read in one transaction. Raises DirectoryError."""
    with store.read() as connection:
        return _load(connection, _Meta(*connection.execute(_QUERY_META).one()), loaded_at)


def refresh_snapshot(store: Store, held: Snapshot, loaded_at: datetime | None = None) -> Snapshot:
    """The directory at its present epoch: `held` itself where nothing changed, else a new value.

    Where the change log reaches back to `held`, only what it names is read. An epoch that went back (the
    database was restored) is read whole. Raises DirectoryError; `held` is never altered.
    """
    with store.read() as connection:
        meta = _Meta(*connection.execute(_QUERY_META).one())
        if meta.epoch == held.epoch:
            return held
        if not meta.kept_from <= held.epoch < meta.epoch:
            return _load(connection, meta, loaded_at)
        touched = _touched(connection, held.epoch)
        if sum(map(len, touched.values())) > MAX_DELTA:
            return _load(connection, meta, loaded_at)
        return _caught_up(connection, held, touched, meta, loaded_at)


def _load(connection: Connection, meta: _Meta, loaded_at: datetime | None) -> Snapshot:
    read = read_registers(connection, with_aliases=False).snapshot(
        meta.epoch,
        loaded_at=loaded_at,
        posture_source=meta.posture_source,
        identity_source=meta.identity_source,
    )
    held = read_held(connection)
    return replace(
        read,
        **_sources(connection),
        users=with_holds(read.users, held.get("users", ())),
        devices=with_holds(read.devices, held.get("devices", ())),
    )


def _sources(connection: Connection) -> dict[str, Any]:
    """The configured sources, and until when what they bring counts as available."""
    sources = read_sources(connection)
    missing = {brings: up_until(sources, brings) for brings in ("posture", "identity")}
    return {
        "sources": sources,
        **{f"{brings}_missing": never for brings, (never, _) in missing.items()},
        **{f"{brings}_until": until for brings, (_, until) in missing.items()},
    }


def _touched(connection: Connection, since: int) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for register, key in connection.execute(_QUERY_TOUCHED, {"since": since}):
        found[register].add(key)
    return found


def _caught_up(
    connection: Connection, held: Snapshot, touched: Mapping[str, set[str]], meta: _Meta, loaded_at: datetime | None
) -> Snapshot:
    reader = Reader()
    new: dict[str, Any] = {
        "epoch": meta.epoch,
        "loaded_at": loaded_at,
        "posture_source": meta.posture_source,
        "identity_source": meta.identity_source,
        **_sources(connection),
    }
    named = touched.get("users", set()) | touched.get("devices", set())
    kept = read_held(connection, named) if named else {}
    if keys := touched.get("users"):
        users = with_holds(read_users(connection, reader, keys), kept.get("users", ()))
        new["users"] = _overlaid(held.users, keys, users)
    if keys := touched.get("devices"):
        posture = posture_by_device(read_posture(connection, reader, keys))
        bare = read_devices(connection, reader, keys)
        read = {id_: with_posture(device, posture.get(id_)) for id_, device in bare.items()}
        new["devices"] = _overlaid(held.devices, keys, with_holds(read, kept.get("devices", ())))
        new["devices_by_certificate"] = _certificates(held, keys, read)
    if keys := touched.get("permits"):
        new["permits"] = _overlaid(held.permits, keys, _by_device(read_permits(connection, reader, keys)))
    if keys := touched.get("loans"):
        new["loans"] = _overlaid(held.loans, keys, _by_device(read_loans(connection, reader, keys)))
    if "work_permits" in touched:
        new["work_permits"] = tuple(read_work_permits(connection, reader).values())
    if "resources" in touched:
        new["resources"] = MappingProxyType(read_resources(connection, reader))
    if "emergencies" in touched:
        new["emergencies"] = tuple(read_emergencies(connection, reader).values())
    return replace(held, **new)


def _overlaid(held: Mapping[str, Any], keys: set[str], read: Mapping[str, Any]) -> Mapping[str, Any]:
    """`held` with the rows of these keys as they were read; a key that was not found is gone."""
    merged = dict(held)
    for key in keys:
        merged.pop(key, None)
    merged.update(read)
    return MappingProxyType(merged)


def _by_device(rows: Iterable[tuple[str, Any]]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for _, row in rows:
        found[row.device].append(row)
    return {device: tuple(these) for device, these in found.items()}


def _certificates(held: Snapshot, keys: set[str], read: Mapping[str, Device]) -> Mapping[str, str]:
    merged = {sha256: device for sha256, device in held.devices_by_certificate.items() if device not in keys}
    merged.update({d.certificate_sha256: id_ for id_, d in read.items() if d.certificate_sha256 is not None})
    return MappingProxyType(merged)
