"""A piece of long work as plain values, and what parent and child tell each other. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # msgspec reads the types of `Order`
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec

from pdp.revisions.results import Form  # msgspec reads the types of `Outcome`
from pdp.settings import Settings  # msgspec reads the types of `Order`

if TYPE_CHECKING:
    from collections.abc import Mapping

ChildKind = Literal["population", "replay", "export", "mutation"]
"""Long work of a child, whose result is kept."""
JobKind = Literal[ChildKind, "check"]
"""What is begun, looked at and cancelled. A check has children of its own, and its result is the revision's gates."""
JOB_KINDS: Final = frozenset(get_args(JobKind))
Work = Literal[ChildKind, "request", "gate_foresight"]
"""All that the child can do; what is not a job is waited for, and not kept."""

State = Literal["running", "done", "failed", "cancelled", "interrupted"]
"""`interrupted`: the worker that ran it ended."""
ENDS: Final = frozenset(get_args(State)) - {"running"}
WAITING: Final = "waiting"
"""The phase of a job that has not got its turn."""

JOB_S: Final[dict[ChildKind, float]] = {
    "population": 900.0,  # a prefecture takes a quarter of a minute on two cores
    "replay": 3_600.0,  # a million decisions take two minutes
    "export": 900.0,  # a decision space takes half a minute
    "mutation": 1_800.0,  # the mutants of the shipped policy take some minutes of two cores
}
MEMORY_BYTES: Final = 3 * 1024 * 1024 * 1024  # a prefecture's population takes one; DuckDB has a limit of its own


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the child is to do. `files`: of the revision; None: what is of record. `now` is the asker's clock."""

    work: Work
    settings: Settings
    now: datetime
    files: dict[str, str] | None = None
    params: dict[str, Any] = msgspec.field(default_factory=dict)


class Progress(msgspec.Struct, frozen=True):
    """`phase` is one word of the work's; `done` of `total` steps, 0 of 0 where it is not known."""

    phase: str = ""
    done: int = 0
    total: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What came of it. `body` follows in a frame of its own. The rest as in `pdp.revisions.results.Finding`."""

    digest: str
    baseline: str | None = None
    epoch: int | None = None
    label: str = ""
    form: Form = "json"
    summary: dict[str, Any] = msgspec.field(default_factory=dict)
    body: bytes = b""


class Trouble(msgspec.Struct, frozen=True):
    """Why nothing came of it: a SekishoError's own words. `detail` is for the service's log alone."""

    code: str
    message: str
    next_step: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """As it stands. `beat_at`: when its worker last said that it runs. `result`: the id of what was kept."""

    id: str
    kind: JobKind
    number: int | None
    params: Mapping[str, Any]
    by: str
    at: datetime
    state: State
    phase: str
    done: int
    total: int
    beat_at: datetime
    cancelled_by: str | None = None
    ended_at: datetime | None = None
    fault: str | None = None
    result: int | None = None
