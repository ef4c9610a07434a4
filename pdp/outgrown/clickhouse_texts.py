"""The closed list of questions, as ClickHouse is asked them: translated by sqlglot from the one text of each.

What sqlglot does not do by itself stands in `RULES`, each with its reason. No question has a text of its own;
a test holds every answer against DuckDB's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import exp

from pdp.archive.datafile import COUNT_BY_HOUR
from pdp.outgrown.clickhouse_tables import DECISIONS, HOURLY, SEGMENTS, TIME

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.archive.queries import ParamKind, Query

_TYPES: Final[dict[ParamKind, str]] = {
    "time": TIME,
    "optional_time": TIME,
    "text": "String",
    "optional_text": "Nullable(String)",
    "id": "Nullable(String)",
    "optional_id": "Nullable(String)",
    "optional_number": "Nullable(Int64)",
    "page": "UInt32",
    "offset": "Int32",
    "rank": "UInt32",
}

RULES: Final[dict[str, str]] = {
    "parameters": "a parameter of ClickHouse names its type; it travels beside the statement, never in it",
    "ids": "an id is compared as sixteen bytes, in the order of its time; a UUID would be ordered by its second half",
    "times": "a time has microseconds; sqlglot's DateTime would have seconds",
    "semi_join": "ClickHouse says on which side the rows stay: LEFT SEMI JOIN",
    "to_minutes": "the interval of so many minutes is called toIntervalMinute",
    "tables": "the relations are tables of the database; of a segment that was entered twice, the newest row counts",
    "overlaps": "whether two lists have something in common is asked by hasAny; sqlglot writes an operator of others",
    "first": "what an empty list has at its first place is an empty text in ClickHouse, and NULL in DuckDB",
}
"""Beyond sqlglot: what differs, and why."""

SETTINGS: Final[dict[str, object]] = {
    "prefer_column_name_to_alias": 1,  # as in SQL: `hour + x AS hour ... WHERE hour` means the column
    "joined_subquery_requires_alias": 0,
    "output_format_arrow_low_cardinality_as_dictionary": 0,
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_fixed_string_as_fixed_byte_array": 1,
    "output_format_arrow_compression_method": "none",  # HTTP compresses
}


def text_of(query: Query, database: str, *, bounded: bool = False) -> str:
    """The statement. `database` is a word of the settings. `bounded`: of people of the departments `$within` alone."""
    tree = sqlglot.parse_one(query.sql, read="duckdb")
    if bounded:
        tree = tree.transform(_bounded)
    for rule in (_ids, _times, _semi_join, _to_minutes, _overlaps, _first):
        tree = tree.transform(rule)
    tree = tree.transform(_parameters(query)).transform(_tables(database))
    return tree.sql(dialect="clickhouse", unsupported_level=sqlglot.ErrorLevel.RAISE)


_OF_THEM: Final = "SELECT * FROM decisions WHERE list_has_any(subject_departments, $within)"  # as `pdp.archive.session`


def _bounded(node: exp.Expr) -> exp.Expr:
    """INVARIANT (bounded in the engine): the relations hold the people of the bound, before a question sees them."""
    if not isinstance(node, exp.Table) or node.name not in ("decisions", "hourly"):
        return node
    # The counts that are stored are not those of the bound: its records are counted again.
    counted = COUNT_BY_HOUR.replace("FROM tail", f"FROM ({_OF_THEM}) AS tail")
    text = _OF_THEM if node.name == "decisions" else counted
    return exp.Subquery(
        this=sqlglot.parse_one(text, read="duckdb"), alias=exp.TableAlias(this=exp.to_identifier(node.name))
    )


def _overlaps(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.ArrayOverlaps):
        return exp.Anonymous(this="hasAny", expressions=[node.this, node.expression])
    return node


def _first(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Bracket) and isinstance(node.this, exp.Column):
        return exp.func("if", exp.func("empty", node.this.copy()), exp.null(), exp.func("toNullable", node))
    return node


def _ids(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Cast) and node.to.is_type(exp.DataType.Type.UUID):
        return exp.Anonymous(this="UUIDStringToNum", expressions=[node.this])
    return node


def _times(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Cast) and node.to.this in _INSTANTS and _is_parameter(node.this):
        parameter: exp.Expr = node.this  # it has this type already
        return parameter
    return node


_INSTANTS: Final = frozenset({exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ})


def _is_parameter(node: exp.Expr) -> bool:
    return isinstance(node, exp.Parameter | exp.Placeholder)


def _semi_join(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Join) and node.kind == "SEMI":
        node.set("side", "LEFT")
    return node


def _to_minutes(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Anonymous) and node.name.lower() == "to_minutes":
        return exp.func("toIntervalMinute", *node.expressions)
    return node


def _parameters(query: Query) -> Callable[[exp.Expr], exp.Expr]:
    def typed(node: exp.Expr) -> exp.Expr:
        if not _is_parameter(node):
            return node
        name = node.name
        kind = "Array(String)" if name == "within" else _TYPES[query.params[name]]
        return exp.Placeholder(this=name, kind=exp.Var(this=kind))

    return typed


def _tables(database: str) -> Callable[[exp.Expr], exp.Expr]:
    def placed(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Table) or node.db:
            return node
        match node.name:
            case "decisions":
                return exp.table_(DECISIONS, db=database, alias="decisions")
            case "hourly":
                return exp.table_(HOURLY, db=database, alias="hourly")
            case "segments":
                return exp.Final(this=exp.table_(SEGMENTS, db=database, alias="segments"))
        return node

    return placed
