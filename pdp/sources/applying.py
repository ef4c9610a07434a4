"""One gathered run into the directory: in one transaction, whole or not at all.

1. The lease is still ours: a process that was slow, and was replaced, writes nothing.
2. What the run says is laid over what its source had said (`posture_plan`, `identity_plan`).
3. Where it would take away more than may go unasked, nothing is written but the question (`bounds`).
4. Rows, cursor, health and the run's record are written together, and the epoch moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from sqlalchemy import delete, insert, select

from pdp.directory.aliases import find_aliases
from pdp.directory.changes import change
from pdp.directory.reading import read_posture, read_reports_of, read_users
from pdp.directory.registers import id_fault, posture_key
from pdp.directory.rows import Reader
from pdp.errors import ConnectorError
from pdp.sources import bounds, register
from pdp.sources.identity_plan import plan_identity
from pdp.sources.matching import KnownNames, wanted_keys
from pdp.sources.posture_plan import find_devices, plan_posture, removed_devices
from pdp.store import tables

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.directory.changes import Change
    from pdp.model.source import Brings, NameKind, SourceSettings
    from pdp.sources.bounds import How
    from pdp.sources.gathering import Gathered
    from pdp.sources.register import SourceRow
    from pdp.store.store import Store

Outcome = Literal["applied", "unchanged", "stopped"]
FEW: Final = 1_000  # items; up to so many only what they name is read, beyond it everything
_BATCH: Final = 2_000  # rows of one insert of ownership
_REMOVALS_PENDING: Final = "removals_pending"
_REMOVALS_REJECTED: Final = "removals_rejected"


@dataclass(frozen=True, slots=True)
class Laid:
    """What a run would do, before anything is written. `write` does it; `removals` of `of` rows would go."""

    counts: Counter[str]
    samples: Mapping[str, list[str]]
    removals: Mapping[str, How]
    of: int
    writes: tuple[tuple[Literal["remove", "replace", "add"], str, Mapping[str, Any]], ...]
    own: frozenset[str] = field(default_factory=frozenset)

    @property
    def changes_anything(self) -> bool:
        return bool(self.own) or any(rows for _, _, rows in self.writes)


@dataclass(frozen=True, slots=True)
class Applied:
    """How a run ended. `epoch`: the directory's after it. `stopped`: removals wait for approval, or were rejected."""

    outcome: Outcome
    epoch: int
    counts: Mapping[str, int]
    fault: str | None = None


def apply_run(  # noqa: PLR0913  # one transaction's givens
    store: Store,
    settings: SourceSettings,
    gathered: Gathered,
    *,
    holder: str,
    now: datetime,
    next_run_at: datetime,
    started_at: datetime,
) -> Applied:
    """Write the run. `started_at`: when it was asked for, which is how fresh the source's word is.

    Raises ConnectorError (`lease_lost`) where another process has taken the source over, DirectoryError
    where the store does not answer; nothing is changed then.
    """
    with change(store, now) as inside:
        row = register.read_row(inside.connection, settings.name, lock=True)
        if row is None or row.lease_holder != holder:
            raise ConnectorError("another process runs this source now", fault="lease_lost")
        laid = lay(inside.connection, row.brings, settings, gathered, now)
        digest = bounds.digest(laid.removals)
        unasked = bounds.passes(laid.removals, laid.of, settings.max_removals_percent)
        inside.note_sources()
        epoch = inside.epoch + 1
        if not unasked and not row.approves(digest, now):
            return _stopped(inside, row, laid, digest, gathered, now, next_run_at)
        _write(inside, settings, laid)
        outcome: Outcome = "applied" if laid.changes_anything else "unchanged"
        values = _good(inside.connection, row, gathered, laid, now, next_run_at, started_at)
        if gathered.complete or not unasked:  # the question is answered, or no longer asked
            values |= {"plan": None, "plan_digest": None, "plan_state": "none", "plan_until": None, "plan_by": ""}
        register.write(inside.connection, row.name, values)
        _journal(inside.connection, row, gathered, now, outcome, None, epoch, laid.counts)
    return Applied(outcome, epoch, dict(laid.counts))


def lay(connection: Connection, brings: Brings, settings: SourceSettings, gathered: Gathered, now: datetime) -> Laid:
    """What the run would do to the directory as this transaction sees it."""
    if brings == "posture":
        return _lay_posture(connection, settings, gathered, now)
    return _lay_identity(connection, settings, gathered, now)


def _lay_posture(connection: Connection, settings: SourceSettings, gathered: Gathered, now: datetime) -> Laid:
    known = _known_names(connection, settings, gathered)
    found = find_devices(gathered, known, settings, now)
    reader = Reader()
    if gathered.complete or len(gathered.items) > FEW:
        held = read_reports_of(connection, reader, settings.name)
        of = len(held)
    else:
        devices = {*found.reports, *removed_devices(gathered.removed, known, settings.name)}
        keys = {posture_key(device, settings.name) for device in devices}
        held = {key: report for key, report in read_posture(connection, reader, devices).items() if key in keys}
        of = register.count_rows(connection, settings.name, "posture")
    plan = plan_posture(gathered, found, held, known, settings.name)
    return Laid(
        counts=plan.counts,
        samples=found.samples,
        removals=plan.removals,
        of=of,
        writes=(
            ("add", "devices", found.devices),
            ("add", "aliases", found.aliases),
            ("remove", "posture", plan.remove),
            ("replace", "posture", plan.change),
            ("add", "posture", plan.add),
        ),
    )


def _known_names(connection: Connection, settings: SourceSettings, gathered: Gathered) -> KnownNames:
    """Every device's id and certificate; of few items the aliases that they ask for, else all."""
    devices = tables.devices.c
    rows = connection.execute(select(devices.id, devices.certificate_sha256)).all()
    names = [item.names for item in gathered.items]
    table = tables.device_aliases.c
    if len(names) + len(gathered.removed) > FEW:
        query = select(table.key, table.device_id)
        aliases = {key: device for key, device in connection.execute(query)}  # noqa: C416  # rows are no pairs
    else:
        gone: list[Mapping[NameKind, str]] = [{"vendor_id": name} for name in gathered.removed]
        asked = wanted_keys([*names, *gone], settings.name)
        aliases = find_aliases(connection, asked)
        aliases |= _siblings(connection, set(aliases.values()))
    certificates = {sha256: id_ for id_, sha256 in rows if sha256 is not None}
    return KnownNames({id_ for id_, _ in rows}, certificates, aliases)


def _siblings(connection: Connection, devices: set[str]) -> dict[str, str]:
    """The other names of these devices: a record is held against all that we know of its device."""
    table = tables.device_aliases.c
    found: dict[str, str] = {}
    for chunk in _chunks(sorted(devices), 500):
        query = select(table.key, table.device_id).where(table.device_id.in_(chunk))
        found.update((key, device) for key, device in connection.execute(query))
    return found


def _lay_identity(connection: Connection, settings: SourceSettings, gathered: Gathered, now: datetime) -> Laid:
    owned = tables.source_users.c
    owners = {id_: source for id_, source in connection.execute(select(owned.user_id, owned.source))}  # noqa: C416
    said = {user.id for user in gathered.items} | set(gathered.removed)
    named = {id_ for id_ in said if id_fault(id_) is None}  # what can be no id is not asked for
    everybody = gathered.complete or len(named) > FEW
    held = read_users(connection, Reader(), None if everybody else named)
    plan = plan_identity(gathered, held, owners, settings, now)
    of = plan.of if everybody else max(plan.of, sum(1 for owner in owners.values() if owner == settings.name))
    return Laid(
        counts=plan.counts,
        samples=plan.samples,
        removals=plan.removals,
        of=of,
        writes=(("replace", "users", plan.change), ("add", "users", plan.add)),
        own=frozenset(plan.own),
    )


def _write(inside: Change, settings: SourceSettings, laid: Laid) -> None:
    for how, name, rows in laid.writes:
        getattr(inside, how)(name, rows)
    table = tables.source_users
    for chunk in _chunks(sorted(laid.own), _BATCH):
        inside.connection.execute(delete(table).where(table.c.user_id.in_(chunk)))
        inside.connection.execute(insert(table), [{"user_id": id_, "source": settings.name} for id_ in chunk])


def _good(  # noqa: PLR0913, PLR0917
    connection: Connection,
    row: SourceRow,
    gathered: Gathered,
    laid: Laid,
    now: datetime,
    next_run_at: datetime,
    started_at: datetime,
) -> dict[str, Any]:
    """What the source's row says after a run that counts."""
    values: dict[str, Any] = {
        "cursor": gathered.cursor,
        "last_attempt_at": now,
        "last_success_at": started_at,
        "next_run_at": next_run_at,
        "failures": 0,
        "fault": None,
        "fault_text": "",
        "rows": register.count_rows(connection, row.name, row.brings),
    }
    if row.cursor is None or gathered.complete:
        values |= {"last_full_at": started_at, "full_tried_at": started_at}
    if gathered.complete or row.last_full_at is None:  # a run of changes knows nothing of the records that stayed
        seen = register.Seen(dict(laid.counts), {what: list(whom) for what, whom in laid.samples.items() if whom})
        values |= {
            "seen": msgspec.json.encode(seen).decode(),
            "unmatched": sum(laid.counts[why] for why in ("unknown", "ambiguous", "contradicted", "nameless")),
            "refused": sum(count for what, count in laid.counts.items() if what.startswith("refused_")),
        }
    return values


def _stopped(  # noqa: PLR0913, PLR0917
    inside: Change,
    row: SourceRow,
    laid: Laid,
    digest: str,
    gathered: Gathered,
    now: datetime,
    next_run_at: datetime,
) -> Applied:
    """Nothing of the run is written but the question. One that was answered with no is not asked again."""
    rejected = row.plan_state == "rejected" and row.plan_digest == digest
    fault = _REMOVALS_REJECTED if rejected else _REMOVALS_PENDING
    plan = bounds.removal_plan(laid.removals, laid.of, now)
    text = f"{plan.count} of {plan.of} rows would be removed ({plan.percent:.0f} %)"
    values = register.failed(row, fault, text, now, next_run_at)
    values["failures"] = 0  # the source answers well; there is nothing to back off from
    if gathered.complete:
        values["full_tried_at"] = now
    if not rejected:
        encoded = msgspec.json.encode(plan).decode()
        values |= {"plan": encoded, "plan_digest": digest, "plan_state": "pending", "plan_until": None, "plan_by": ""}
    register.write(inside.connection, row.name, values)
    _journal(inside.connection, row, gathered, now, "stopped", fault, inside.epoch + 1, laid.counts)
    return Applied("stopped", inside.epoch + 1, dict(laid.counts), fault)


def _journal(  # noqa: PLR0913, PLR0917
    connection: Connection,
    row: SourceRow,
    gathered: Gathered,
    now: datetime,
    outcome: str,
    fault: str | None,
    epoch: int,
    counts: Mapping[str, int],
) -> None:
    values = {
        "at": now,
        "complete": gathered.complete,
        "outcome": outcome,
        "fault": fault,
        "epoch": epoch,
        "counts": msgspec.json.encode({what: count for what, count in counts.items() if count}).decode(),
    }
    register.journal(connection, row.name, values)


def _chunks(keys: Iterable[str], size: int) -> list[list[str]]:
    whole = list(keys)
    return [whole[start : start + size] for start in range(0, len(whole), size)]
