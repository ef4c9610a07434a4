"""Column types that mean the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import TIMESTAMP, String, Text
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine


class Instant(TypeDecorator[datetime]):
    """An aware time in UTC. PostgreSQL: timestamptz. SQLite: RFC 3339 text of fixed width, which sorts by time."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without its offset is not stored")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else instant_text(utc)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "postgresql":
            return value.astimezone(UTC)  # type: ignore[no-any-return]  # psycopg gives a datetime
        return datetime.fromisoformat(value)


class TextTuple(TypeDecorator[tuple[str, ...]]):
    """A short list of words, kept as a JSON array: it is read and written whole, never queried."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:  # noqa: ARG002
        if value is None:
            return None
        return () if value == "[]" else _WORDS.decode(value)


_WORDS = msgspec.json.Decoder(tuple[str, ...])


def identifier(length: int) -> String:
    """Text that sorts by its code points everywhere, as Python sorts it; PostgreSQL's own order is the locale's."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def instant_text(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds: 27 characters, for example `2023-08-01T01:00:00.000000Z`."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
