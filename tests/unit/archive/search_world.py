"""Records of many kinds, and what a search must find among them, worked out in plain Python."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from pdp.archive.asking import Filters
from pdp.archive.store import LocalStore
from pdp.archive.tail import publish_tails
from pdp.declog.record import encode_record, read_record, refusal_of
from pdp.errors import BadRequestError
from pdp.model.request import Refusal
from tests.unit.archive.logs import Worker, record
from tests.unit.archive.test_store import NOW, fresh_names, publish, store_at
from tests.unit.declog.samples import START, uuid7_at

HOUR = datetime(2026, 4, 1, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """A record's values. `shape`: a decision, a refusal, or bytes that are not ours with or without an id."""

    number: int
    at: datetime
    shape: str = "decision"
    person: str = "u-0001"
    departments: tuple[str, ...] = ("tax", "disaster")
    device: str = "d-00001"
    device_class: str = "managed_pc"
    resource: str = "groupware"
    resource_group: str = "communication"
    outcome: str = "allow"
    reasons: tuple[str, ...] = ("OK_BASE",)
    caller: str = "gateway-1"
    revision: str | None = "2026-04-01.1"
    source_ip: str | None = "192.0.2.7"
    action: str = "access"
    disaster: bool = False
    subject_kind: str = "staff"

    @property
    def id(self) -> str:
        return uuid7_at(self.at, self.number)

    @property
    def time(self) -> datetime:
        return self.at.astimezone(UTC).replace(tzinfo=None)

    @property
    def stamp(self) -> str:
        return f"{self.time.isoformat(timespec='microseconds')}Z"

    def body(self) -> bytes:
        if self.shape == "refusal":
            fault = BadRequestError("the body is not JSON")
            refusal = Refusal(fault=fault, wire="authzen", body_sha256="ab" * 32, body_bytes=7, request_id="r-9")
            return refusal_of(refusal, decision_id=self.id, time=self.at, caller_id=self.caller)
        if self.shape != "decision":
            known = {} if self.shape == "nameless" else {"id": self.id}
            foreign = {"time": self.stamp, "outcome": self.outcome, "reasons": list(self.reasons), "weight": 0.5}
            return json.dumps(known | foreign).encode()
        body = record(
            self.at,
            self.number,
            person=self.person,
            device=self.device,
            subject__departments=list(self.departments),
            subject__kind=self.subject_kind,
            device__class_=self.device_class,
            resource__id=self.resource,
            resource__group=self.resource_group,
            context__disaster_mode=self.disaster,
        )
        changed = {
            "time": self.stamp,
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "caller_id": self.caller,
            "policy_revision": self.revision,
            "source_ip": self.source_ip,
            "action": self.action,
        }
        return encode_record(msgspec.structs.replace(read_record(body), **changed))

    def seen(self) -> dict[str, Any]:
        """The values that filters and groups look at, as far as such a record has them."""
        whole = {
            "person": self.person, "departments": self.departments, "device": self.device, "resource": self.resource,
            "resource_group": self.resource_group, "outcome": self.outcome, "reasons": self.reasons,
            "caller": self.caller, "revision": self.revision, "source_ip": self.source_ip, "action": self.action,
            "kind": "decision", "disaster_mode": self.disaster, "subject_kind": self.subject_kind,
            "device_class": self.device_class,
        }  # fmt: skip
        nothing = dict.fromkeys(whole) | {"departments": (), "reasons": (), "disaster_mode": False}
        if self.shape == "decision":
            return whole
        if self.shape == "refusal":
            return nothing | {"outcome": "deny", "reasons": ("BAD_INPUT",), "caller": self.caller, "kind": "refusal"}
        return nothing | {"outcome": self.outcome, "reasons": self.reasons}


def means(filters: Filters, entry: Entry) -> bool:
    """What the filters say, in words of Python."""
    seen = entry.seen()
    if not filters.since <= entry.time < filters.until:
        return False
    for name in ("person", "device", "resource", "resource_group", "caller", "revision", "source_ip", "action", "kind"):
        wanted = getattr(filters, name)
        if wanted is not None and seen[name] != wanted and not (name == "action" and _acted(entry, wanted)):
            return False
    exception = seen["outcome"] in ("allow", "limit") and (
        seen["disaster_mode"] or seen["subject_kind"] == "emergency_account" or seen["resource_group"] == "disaster"
    )
    return all(
        (
            filters.department is None or filters.department in seen["departments"],
            filters.within is None or bool(set(filters.within) & set(seen["departments"])),
            not filters.outcomes or seen["outcome"] in filters.outcomes,
            not filters.reasons or bool(set(filters.reasons) & set(seen["reasons"])),
            filters.exception is None or bool(exception) == filters.exception,
            filters.disaster_mode is None or bool(seen["disaster_mode"]) == filters.disaster_mode,
        )
    )


def _acted(entry: Entry, wanted: str) -> bool:
    return entry.shape == "decision" and wanted == "access"  # as the policy saw it, whatever was asked for


def grouped(entries: list[Entry], by: tuple[str, ...]) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Counts and distinct people by their dimensions, in Japanese time."""
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    people: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for entry in entries:
        keys: list[tuple[Any, ...]] = [()]
        for name in by:
            keys = [(*key, value) for key in keys for value in _values(entry, name)]
        for key in keys:
            counts[key] += 1
            people[key] |= {entry.seen()["person"]} - {None}
    return {key: (counts[key], len(people[key])) for key in counts}


def _values(entry: Entry, name: str) -> list[Any]:
    seen, local = entry.seen(), entry.time + timedelta(hours=9)
    match name:
        case "hour":
            return [f"{local:%Y-%m-%dT%H}:00:00+09:00"]
        case "day":
            return [f"{local:%Y-%m-%d}"]
        case "reason":
            return list(dict.fromkeys(seen["reasons"])) or [None]
        case "department":
            return [seen["departments"][0] if seen["departments"] else None]
        case _:
            return [seen[name]]


def newest_first(entries: list[Entry]) -> list[tuple[datetime, str]]:
    """(time, id); of what has no id, the time alone."""
    known = [(e.time, "" if e.shape == "nameless" else e.id) for e in entries]
    return sorted(known, reverse=True)


def lay_down(root: Path, entries: list[Entry], *, stored: int, published: int) -> None:
    """Write them in three segments: in the store, as published tail, and as the log alone has them."""
    worker = Worker(root)
    parts = entries[:stored], entries[stored : stored + published], entries[stored + published :]
    store: LocalStore = store_at(root)
    for place, part in enumerate(parts):
        worker.write([entry.body() for entry in part])
        if place < 2:
            worker.seal()
        if place == 0:
            publish(store)
        elif place == 1:
            with store.held():
                publish_tails(store.layout, store.place, fresh_names(store), store.disk)


__all__ = ["HOUR", "NOW", "START", "Entry", "grouped", "lay_down", "means", "newest_first"]
