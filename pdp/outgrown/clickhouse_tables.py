"""The tables of a ClickHouse that holds the log: one set for each version of the store's schema. Pure.

    decisions_v1   one row per record, with the columns of `pdp.archive.schema`, by person and time
    hourly_v1      its records counted by hour, as the store's own hourly files
    segments_v1    which segments it has; a segment whose state is `begun` may be there in part

An id is FixedString(16) and not UUID: ClickHouse orders UUIDs by their second half, and ours carry their time in
the first. Lists are never NULL in ClickHouse: one that is absent in the store is empty here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.archive.schema import COLUMNS, STORE_SCHEMA

if TYPE_CHECKING:
    from pdp.archive.schema import Kind
    from pdp.model.log_copy import ClickHouseServer

VERSION: Final = STORE_SCHEMA.rpartition("/")[2]
DECISIONS: Final = f"decisions_{VERSION}"
HOURLY: Final = f"hourly_{VERSION}"
SEGMENTS: Final = f"segments_{VERSION}"

DEDUPLICATION_WINDOW: Final = 10_000
"""Tokens that a table remembers: ten days of a busy node's segments. What is older is known by `segments_v1`."""

_WORDS: Final = "LowCardinality(Nullable(String))"
TIME: Final = "Nullable(DateTime64(6, 'UTC'))"
_TYPES: Final[dict[Kind, str]] = {
    "text": _WORDS,
    "free_text": "Nullable(String)",
    "time": TIME,
    "uuid": "Nullable(FixedString(16))",
    "digest": "Nullable(FixedString(32))",
    "number": "Nullable(Int64)",
    "flag": _WORDS,
    "count": "Nullable(Int64)",
    "list": "Array(LowCardinality(String))",
    "bytes": "Nullable(String)",
}

_HOURLY: Final = (
    ("segment", "LowCardinality(String)"),
    ("hour", TIME),
    *((name, _WORDS) for name in ("kind", "outcome")),
    ("reasons", _TYPES["list"]),
    *((name, _WORDS) for name in ("resource", "resource_group", "department", "caller_id", "wire", "policy_revision")),
    ("decisions", "Int64"),
)
_SEGMENTS: Final = (
    *((name, "String") for name in ("segment", "node", "worker", "epoch")),
    ("number", "Int64"),
    ("created", "DateTime64(6, 'UTC')"),
    ("state", "LowCardinality(String)"),
    *((name, "Nullable(Int64)") for name in ("records", "first_seq", "last_seq")),
    ("whole", "Bool"),
    ("sha256", "String"),
    ("records_sha256", "String"),
    ("entered", "DateTime64(6, 'UTC')"),
)
SEGMENT_COLUMNS: Final = tuple(name for name, _ in _SEGMENTS)

# Questions that do not name a person: a filter on what is rare lets whole granules be passed over.
_INDEXES: Final = (
    "INDEX by_id id TYPE bloom_filter(0.001) GRANULARITY 1",
    "INDEX by_device device TYPE bloom_filter(0.01) GRANULARITY 1",
    "INDEX by_source_ip source_ip TYPE bloom_filter(0.01) GRANULARITY 1",
    "INDEX by_time time TYPE minmax GRANULARITY 1",
)


def statements(server: ClickHouseServer) -> list[str]:
    """What makes the database and its tables where there are none. Names are words, checked by the settings."""
    everywhere = f" ON CLUSTER `{server.cluster}`" if server.cluster else ""
    decisions = [
        f"`{column.name}` {'LowCardinality(String)' if column.name == 'segment' else _TYPES[column.kind]}"
        for column in COLUMNS
    ]
    window = "replicated_deduplication_window" if server.cluster else "non_replicated_deduplication_window"
    settings = f"allow_nullable_key = 1, {window} = {DEDUPLICATION_WINDOW}"
    bodies = {
        DECISIONS: (
            ", ".join((*decisions, *_INDEXES)),
            f"{_engine(server, '')} PARTITION BY toYYYYMM(time) ORDER BY (person, time)",
        ),
        HOURLY: (
            ", ".join(f"`{name}` {kind}" for name, kind in _HOURLY),
            f"{_engine(server, '')} PARTITION BY toYYYYMM(hour) ORDER BY (hour, outcome, resource)",
        ),
        SEGMENTS: (
            ", ".join(f"`{name}` {kind}" for name, kind in _SEGMENTS),
            f"{_engine(server, 'Replacing', 'entered')} ORDER BY segment",
        ),
    }
    made = [f"CREATE DATABASE IF NOT EXISTS {server.database}{everywhere}"]
    made += [
        f"CREATE TABLE IF NOT EXISTS {server.database}.{name}{everywhere} ({columns})"
        f" ENGINE = {engine} SETTINGS {settings}"
        for name, (columns, engine) in bodies.items()
    ]
    return made


def _engine(server: ClickHouseServer, kind: str, version: str = "") -> str:
    return f"{'Replicated' if server.cluster else ''}{kind}MergeTree({version})"
