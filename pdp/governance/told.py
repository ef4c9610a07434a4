"""Revisions and what belongs to them, as the API tells them: plain JSON values. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pdp.declog.marks import rfc3339
from pdp.revisions.statement import read_statement
from pdp.revisions.states import steps_from

if TYPE_CHECKING:
    from pdp.revisions.revision import Active, Approval, Detail, GateResult, Instance, Review, Revision

Json = dict[str, Any]


def revision_told(revision: Revision) -> Json:
    """`steps`: what may happen to it next; whether one person may is another question."""
    return {**_plain(asdict(revision)), "steps": list(steps_from(revision.state))}


def detail_told(detail: Detail) -> Json:
    return {
        **revision_told(detail.revision),
        "authors": sorted(detail.authors),
        "history": [_plain({**asdict(entry), "details": dict(entry.details)}) for entry in detail.history],
        "approvals": [_approval_told(approval) for approval in detail.approvals],
        "gates": [gate_told(gate) for gate in detail.gates],
    }


def gate_told(gate: GateResult) -> Json:
    return {"name": gate.name, "result": gate.result, "summary": gate.summary, "details": dict(gate.details)}


def active_told(active: Active) -> Json:
    """The signatures as data; the statement as the very text that they are over. `warn`: what it says of that."""
    said = read_statement(active.statement).warning
    warn = None if said is None else {"former": said.former, "until": said.until}
    return {**_plain(asdict(active)), "signatures": json.loads(active.signatures), "warn": warn}


def _approval_told(approval: Approval) -> Json:
    """`sealed`: whether the host that took it signed for it; whether that counts is found when it is needed."""
    told = _plain(asdict(approval))
    return {**told, "sealed": told.pop("seal") is not None}


def instance_told(instance: Instance) -> Json:
    return _plain(asdict(instance))


def review_told(review: Review) -> Json:
    return _plain(asdict(review))


def _plain(values: Json) -> Json:
    return {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in values.items()}
