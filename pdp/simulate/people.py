"""Everybody with every terminal that is theirs to use: pairs of a person and a terminal, as columns.

Theirs are the terminals that they own, that are or were lent to them, that they have a permit for, and those that
stand in one of their sections for everybody. The facts of each pair are those that a decision would see
(`pdp.facts`); people who are alike to the policy, and terminals that are, share one row.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from pdp.facts.device import device_facts
from pdp.facts.horizon import Horizon
from pdp.facts.subject import subject_facts
from pdp.model.authentication import NOT_AUTHENTICATED
from pdp.simulate.codes import Groups, Numbering, grouped
from pdp.simulate.leaves import bringer_of, value_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from pdp.bundle.syntax import Path
    from pdp.model.directory import Snapshot
    from pdp.model.input import Device, Subject
    from pdp.simulate.codes import Codes

NOBODY: Final = ""  # no user has this id
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Pairs:
    """Who with what: numbers of `users` and `devices`, sorted by user."""

    users: tuple[str, ...]
    devices: tuple[str, ...]
    user: Codes
    device: Codes

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class PairFacts:
    """The facts of all pairs at one time. `row`: the row of each pair; a row stands for pairs that are alike.

    `columns` hold, by fact, a number for each row; `subjects`, `devices` and `named` what stands behind a row:
    `named` is who and what a work permit could name, `(user, device)`, with `NOBODY` where none does.
    """

    row: Codes
    rows: Groups
    columns: dict[Path, Codes]
    subjects: list[Subject]
    devices: list[Device]
    named: list[tuple[str, str | None]]
    subject_of: Codes
    device_of: Codes
    named_of: Codes


def pairs_of(snapshots: Iterable[tuple[Snapshot, datetime]]) -> Pairs:
    """The pairs that there are at any of these times."""
    linked: dict[str, set[str]] = defaultdict(set)
    standing: dict[str, set[str]] = defaultdict(set)
    for snapshot, now in snapshots:
        for user, devices in _linked(snapshot).items():
            linked[user] |= devices
        of_section: dict[str, set[str]] = defaultdict(set)
        for device in snapshot.devices.values():
            if device.owner is None and device.department is not None:
                of_section[device.department].add(device.id)
        for person in snapshot.users.values():
            linked[person.id] |= set()  # everybody is there, with or without a terminal
            for post in person.posts:
                if post.period.holds(now):
                    standing[person.id] |= of_section[post.department]
    users = tuple(sorted(linked))
    numbers = Numbering[str]()
    ids = [sorted(linked[user] | standing[user]) for user in users]
    flat = numbers.all(device for devices in ids for device in devices)
    owner = np.repeat(np.arange(len(users)), [len(devices) for devices in ids])
    return Pairs(users, tuple(numbers.values), owner.astype(np.int64), flat)


def _linked(snapshot: Snapshot) -> dict[str, set[str]]:
    """By user: the terminals that a register puts them beside, so that their facts are not a stranger's."""
    found: dict[str, set[str]] = {user: set() for user in snapshot.users}
    for device in snapshot.devices.values():
        if device.owner in found:
            found[device.owner].add(device.id)
    for by_device in (snapshot.loans, snapshot.permits):
        for device_id, entries in by_device.items():
            for entry in entries:
                if entry.user in found:
                    found[entry.user].add(device_id)
    return found


def facts_of(pairs: Pairs, snapshot: Snapshot, now: datetime, leaves: Sequence[Path]) -> PairFacts:
    """The facts at `leaves` of every pair, as the registers have them at `now`."""
    own = [leaf for leaf in leaves if bringer_of(leaf) == "pair"]
    subjects, subject_of_user = _subjects(pairs, snapshot, now, [leaf[1:] for leaf in own if leaf[0] == "subject"])
    devices, device_of_pair = _devices(pairs, snapshot, now, [leaf[1:] for leaf in own if leaf[0] == "device"])
    named, named_of_pair = _named(pairs, snapshot)
    subject_of_pair = subject_of_user[pairs.user]
    rows = grouped([subject_of_pair, device_of_pair, named_of_pair], len(pairs))
    subject_of, device_of = subject_of_pair[rows.first], device_of_pair[rows.first]
    columns: dict[Path, Codes] = {}
    for leaf in own:
        of, values = (subject_of, subjects) if leaf[0] == "subject" else (device_of, devices)
        numbers = Numbering[bytes]().all(_encode(value_at(msgspec.to_builtins(one), leaf[1:])) for one in values)
        columns[leaf] = numbers[of] if len(numbers) else of
    return PairFacts(rows.of, rows, columns, subjects, devices, named, subject_of, device_of, named_of_pair[rows.first])


def _subjects(pairs: Pairs, snapshot: Snapshot, now: datetime, read: list[Path]) -> tuple[list[Subject], Codes]:
    numbers = Numbering[bytes]()
    found: list[Subject] = []
    of = np.zeros(len(pairs.users), np.int64)
    for at, user in enumerate(pairs.users):
        facts = subject_facts(user, snapshot.users.get(user), NOT_AUTHENTICATED, Horizon(now))
        of[at] = numbers.of(_key(facts, read))
        if len(numbers.values) > len(found):
            found.append(facts)
    return found, of


def _devices(pairs: Pairs, snapshot: Snapshot, now: datetime, read: list[Path]) -> tuple[list[Device], Codes]:
    """A terminal is the same to everybody whom no register puts beside it."""
    numbers = Numbering[bytes]()
    found: list[Device] = []

    def number(device: str, user: str) -> int:
        facts = device_facts(device, None, user, snapshot, Horizon(now))
        key = numbers.of(_key(facts, read))
        if len(numbers.values) > len(found):
            found.append(facts)
        return key

    to_strangers = np.fromiter((number(device, NOBODY) for device in pairs.devices), np.int64, len(pairs.devices))
    of = to_strangers[pairs.device] if len(pairs) else pairs.device
    place = {device: at for at, device in enumerate(pairs.devices)}
    linked = _linked(snapshot)
    borders = np.searchsorted(pairs.user, np.arange(len(pairs.users) + 1))
    for at, user in enumerate(pairs.users):
        mine = pairs.device[borders[at] : borders[at + 1]]
        for device in linked.get(user, ()):
            where = np.flatnonzero(mine == place[device])
            if len(where):
                of[borders[at] + where[0]] = number(device, user)
    return found, of


def _named(pairs: Pairs, snapshot: Snapshot) -> tuple[list[tuple[str, str | None]], Codes]:
    """Whom and what work permits name. Everybody else is nobody to them, and another terminal is none."""
    people = {user for permit in snapshot.work_permits for user in permit.users}
    terminals = {device for permit in snapshot.work_permits for device in permit.devices}
    numbers = Numbering[tuple[str, str | None]]()
    numbers.of((NOBODY, None))
    of = np.zeros(len(pairs), np.int64)
    is_named = np.fromiter((user in people for user in pairs.users), np.bool_, len(pairs.users))
    for at in np.flatnonzero(is_named[pairs.user]) if len(pairs) else ():
        device = pairs.devices[pairs.device[at]]
        of[at] = numbers.of((pairs.users[pairs.user[at]], device if device in terminals else None))
    return numbers.values, of


def _key(facts: Subject | Device, read: list[Path]) -> bytes:
    plain: Any = msgspec.to_builtins(facts)
    return _encode([value_at(plain, leaf) for leaf in read])
