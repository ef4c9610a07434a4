"""What all tables share: the metadata with its names of constraints, and columns that come again."""

from __future__ import annotations

from typing import Any, Final, get_args

from sqlalchemy import CheckConstraint, Column, ForeignKey, MetaData

from pdp.store.columns import Instant, identifier

ID_LENGTH: Final = 128
KEY_LENGTH: Final = 2 * ID_LENGTH + 40  # device/user/start

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def words(column: str, literal: Any) -> CheckConstraint:
    """The column holds one of the words of the input document: no other writer can put in a word nobody judges."""
    listed = ", ".join(f"'{word}'" for word in get_args(literal))
    return CheckConstraint(f'"{column}" IN ({listed})', name=column)


def row_id(name: str = "id") -> Column[str]:
    return Column(name, identifier(ID_LENGTH), primary_key=True)


def refers(
    name: str, to: str, *, primary_key: bool = False, nullable: bool = False, owned: bool = False
) -> Column[str]:
    reference = ForeignKey(to, deferrable=True, initially="DEFERRED", ondelete="CASCADE" if owned else None)
    return Column(name, identifier(ID_LENGTH), reference, primary_key=primary_key, nullable=nullable)


def period() -> tuple[Column[Any], Column[Any]]:
    """[starts, ends), either open where it is NULL."""
    return Column("starts", Instant), Column("ends", Instant)
