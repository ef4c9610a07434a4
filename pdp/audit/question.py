"""What a worker hands to the process that asks the engine, as plain values. Checked before it is handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pdp.audit.sight import Sight
from pdp.errors import (
    BadRequestError,
    NotFoundError,
    NotPermittedError,
    NotReadyError,
    RecordDamagedError,
    SekishoError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Format = Literal["csv", "jsonl", "parquet"]
Lang = Literal["ja", "en"]
FaultKind = Literal["bad_request", "not_found", "not_permitted", "not_ready", "damaged", "internal"]
Params = dict[str, list[str]]


class Decisions(msgspec.Struct, frozen=True, tag="decisions"):
    filters: Params
    size: int = 100
    before: str | None = None


class Count(msgspec.Struct, frozen=True, tag="count"):
    filters: Params


class Groups(msgspec.Struct, frozen=True, tag="groups"):
    filters: Params
    by: str
    limit: int = 1_000
    utc_offset_min: int = 540
    people: bool = False


class One(msgspec.Struct, frozen=True, tag="one"):
    id: str
    everywhere: bool = False


class Report(msgspec.Struct, frozen=True, tag="report"):
    name: str
    params: dict[str, str]
    lang: Lang = "ja"
    format: Literal["json", "csv"] = "json"
    utc_offset_min: int = 540


class Sql(msgspec.Struct, frozen=True, tag="sql"):
    text: str
    since: str
    until: str


class Export(msgspec.Struct, frozen=True, tag="export"):
    filters: Params
    format: Format
    lang: Lang = "ja"
    utc_offset_min: int = 540


class Proof(msgspec.Struct, frozen=True, tag="proof"):
    id: str
    everywhere: bool = False


class Reveal(msgspec.Struct, frozen=True, tag="reveal"):
    """Of a decision by its id, or of a pseudonym that stands in that time."""

    id: str | None = None
    pseudonym: str | None = None
    since: str | None = None
    until: str | None = None


class TrailPage(msgspec.Struct, frozen=True, tag="trail"):
    size: int = 100
    before: str | None = None
    actor: str | None = None
    action: str | None = None
    outcome: str | None = None
    since: str | None = None
    until: str | None = None


Ask = Decisions | Count | Groups | One | Report | Sql | Export | Proof | Reveal | TrailPage


class Question(msgspec.Struct, frozen=True):
    ask: Ask
    sight: Sight


class Ground(msgspec.Struct, frozen=True):
    """What an asking process stands on, told once at its start. `keys`: the file that makes pseudonyms."""

    logs: list[str]
    trail: str
    memory_mb: int
    threads: int
    keys: str
    deadline_s: float = 30.0  # of the engine, as `pdp.archive.session.EngineLimits`


class Head(msgspec.Struct, frozen=True):
    """Before the bytes of an answer. `rows` and `sha256` are known by then of everything but an export."""

    rows: int | None = None
    sha256: str | None = None
    note: str | None = None  # what was found, where the trail must say it: the kind of a revealed pseudonym


class Tail(msgspec.Struct, frozen=True):
    """After the bytes of an answer that is whole."""

    rows: int
    sha256: str


class Fault(msgspec.Struct, frozen=True):
    """In the place of an answer, or of its rest: an error of `pdp.errors`, by its kind."""

    kind: FaultKind
    message: str
    next_step: str | None = None


# What is told as what; a class stands before those that it is one of. `internal` is everything else.
ERRORS: Final[Mapping[FaultKind, type[SekishoError]]] = {
    "not_found": NotFoundError,
    "bad_request": BadRequestError,
    "not_permitted": NotPermittedError,
    "not_ready": NotReadyError,
    "damaged": RecordDamagedError,
}


# Kinds of the frames (`pdp.engine.frames`): from the worker, and from the process that asks.
GROUND: Final = 32
QUESTION: Final = 33
READY: Final = 48
HEAD: Final = 49
BYTES: Final = 50
TAIL: Final = 51
FAULT: Final = 52
