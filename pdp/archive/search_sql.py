# ruff: noqa: S608  # what is embedded was parsed and proven to be one SELECT; values are bound
"""Read-only SQL of auditors: one SELECT, over three relations, of known functions, within bounds of time and memory.

Three walls, each enough for what it is there for:
1. the statement is parsed by the engine itself, and every node of its tree must stand in `pdp.archive.sql_words`;
2. the engine may open the files of this question and no others, and its settings are locked (`pdp.archive.session`);
   of somebody who is bound to departments it may open none, and holds their records alone (`pdp.archive.bounded_sql`);
3. it ends after its deadline, with its memory, and gives so many rows at most. Who must not die of a statement runs
   it in a process of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping  # a struct's field
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Final

import duckdb
import msgspec

from pdp.archive.bounded_sql import columns_named, engine_holding, hold
from pdp.archive.meanings import RELATIONS
from pdp.archive.session import Bounds, answer, over_snapshot, session
from pdp.archive.snapshot import Scope
from pdp.archive.sql_words import EXPRESSIONS, FUNCTIONS, NODES, OTHERS, SOURCES, TABLE_FUNCTIONS
from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from pdp.archive.session import EngineLimits
    from pdp.archive.snapshot import Snapshot

MAX_STATEMENT: Final = 10_000  # characters; the longest of the named questions has 900
_MAX_DEPTH: Final = 100  # brackets within brackets; the engine's parser works on the stack
_MAX_MESSAGE: Final = 300
_ENDS: Final = 16  # semicolons that are looked at
_PARAMETERS: Final = ("since", "until")
_WORD: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII | re.IGNORECASE)
_PATH: Final = re.compile(r"[^\s'\"]*/[^\s'\"]*")
_TREE: Final = msgspec.json.Decoder()


def ask_sql(  # noqa: PLR0913  # a question and its bounds
    logs: Sequence[Path],
    limits: EngineLimits,
    text: str,
    *,
    since: datetime,
    until: datetime,
    within: Sequence[str] | None = None,
) -> pa.Table:
    """See `DecisionSearch.sql`. Raises BadRequestError with the engine's words, but nothing of our files."""
    if since >= until:
        raise BadRequestError("`since` must lie before `until`", next_step="give the earlier time as `since`")
    checked = check_statement(text)
    # The line's end closes a comment; what is within stands on its own, as was proven.
    sql = f"SELECT * FROM (\n{checked.text}\n) LIMIT {limits.rows + 1}"
    values = {name: value for name, value in (("since", since), ("until", until)) if name in checked.parameters}

    bounds = Bounds(within, (since, until))

    def ask(snapshot: Snapshot) -> pa.Table:
        if within is not None:
            held = hold(limits, snapshot, bounds, checked.columns)
            with engine_holding(held) as connection:
                return _run(connection, checked, sql, values, held.limits)
        with session(limits, tuple(RELATIONS), snapshot, snapshot.files, bounds) as connection:
            return _run(connection, checked, sql, values, limits)

    found = over_snapshot(logs, Scope(since, until, segments="segments" in checked.relations), ask)
    if found.num_rows > limits.rows:
        raise BadRequestError(
            f"the statement gives more than {limits.rows} rows", next_step="count, group or add `LIMIT`"
        )
    return found


def _run(
    connection: duckdb.DuckDBPyConnection, checked: Checked, sql: str, values: Mapping[str, Any], limits: EngineLimits
) -> pa.Table:
    _check_names(connection, checked.names)
    try:
        return answer(connection, sql, values, limits, "the statement")
    except (duckdb.IOException, duckdb.InternalException, duckdb.FatalException):
        raise
    except duckdb.Error as fault:
        raise _refused(fault) from None


class Checked(msgspec.Struct, frozen=True):
    """A statement that may run. `names`: what it calls its own common tables; `relations`: ours that it names.

    `columns`: of each of these, the columns that it may need.
    """

    text: str
    names: frozenset[str]
    relations: frozenset[str]
    parameters: frozenset[str]
    columns: Mapping[str, tuple[str, ...]]


def check_statement(text: str) -> Checked:
    """Raises BadRequestError for anything but one SELECT of known parts."""
    if not 0 < len(text) <= MAX_STATEMENT or "\0" in text or not _is_utf8(text):
        raise BadRequestError(f"a statement has 1 to {MAX_STATEMENT} characters of UTF-8")
    if _depth(text) > _MAX_DEPTH:
        raise BadRequestError(f"a statement has at most {_MAX_DEPTH} brackets within one another")
    with closing(duckdb.connect(":memory:", config={"threads": 1})) as connection:
        try:
            statements = connection.extract_statements(text)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise BadRequestError("only one SELECT can be asked", next_step="ask one after the other")
            text = _without_end(connection, text)
            (row,) = connection.execute("SELECT json_serialize_sql($text::VARCHAR)", {"text": text}).fetchall()
            tree = _TREE.decode(row[0])
        except duckdb.Error as fault:
            raise _refused(fault) from None
        except (RecursionError, msgspec.DecodeError):
            raise BadRequestError("the statement is nested too deeply") from None
    if tree.get("error") is not False or len(tree["statements"]) != 1:
        raise BadRequestError("only one SELECT can be asked", next_step="ask one after the other")
    found = _Found()
    for node in _nodes(tree["statements"][0]):
        found.look_at(node)
    own = frozenset(found.names)
    if unknown := found.relations - own - RELATIONS.keys():
        raise BadRequestError(
            f"there is no relation `{_cut(min(unknown))}`", next_step=f"use {', '.join(RELATIONS)}; `pdp audit columns`"
        )
    relations = frozenset(found.relations - own)
    columns = {relation: columns_named(tree["statements"], relation) for relation in sorted(relations)}
    return Checked(text, own, relations, frozenset(found.parameters), columns)


def _without_end(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """The statement without the semicolon that ends it, and what comes after: blanks and comments."""
    for at in [at for at, character in enumerate(text) if character == ";"][-_ENDS:]:
        with suppress(duckdb.Error):  # a semicolon within a text or a comment
            if not connection.extract_statements(text[at + 1 :]) and connection.extract_statements(text[:at]):
                return text[:at]
    return text


class _Found:
    """What a statement names. INVARIANT (closed): what is not known here is refused."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.relations: set[str] = set()
        self.parameters: set[str] = set()
        self._of_relations: set[int] = set()  # parts that make a relation and no value

    def look_at(self, node: Mapping[str, Any]) -> None:
        """Raises BadRequestError for a part that a statement may not have."""
        if "class" in node:
            self._expression(node)
        elif isinstance(kind := node.get("type"), str):
            self._part(kind, node)
        if isinstance(tables := node.get("cte_map"), dict):
            for entry in tables["map"]:
                self._own(str(entry["key"]))

    def _expression(self, node: Mapping[str, Any]) -> None:
        if node["class"] not in EXPRESSIONS:
            raise _not_here(node["class"])
        if "function_name" in node:
            name = str(node["function_name"]).lower()
            known = name in FUNCTIONS or id(node) in self._of_relations
            if not known or node.get("schema") or node.get("catalog"):
                raise BadRequestError(f"the function `{_cut(name)}` cannot be used here")
        if node["class"] == "PARAMETER":
            name = str(node.get("identifier"))
            if name not in _PARAMETERS:
                raise BadRequestError("`$since` and `$until` are the only parameters")
            self.parameters.add(name)

    def _part(self, kind: str, node: Mapping[str, Any]) -> None:
        if kind not in NODES | SOURCES | OTHERS:
            raise _not_here(kind)
        if kind == "BASE_TABLE":
            if node.get("schema_name") or node.get("catalog_name"):
                raise BadRequestError("a relation is named without a schema")
            self.relations.add(str(node["table_name"]).lower())
        if kind == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name")).lower()
            if name not in TABLE_FUNCTIONS:
                raise BadRequestError(f"the function `{_cut(name)}` cannot be used here")
            self._of_relations.add(id(node["function"]))

    def _own(self, name: str) -> None:
        # A name like a file's would be opened as one outside of the part that it is defined in.
        if not _WORD.fullmatch(name):
            raise BadRequestError(f"`{_cut(name)}` is no name for a common table")
        self.names.add(name.lower())


def _check_names(connection: duckdb.DuckDBPyConnection, names: frozenset[str]) -> None:
    """A common table counts where it is defined; elsewhere its name would mean a relation of the engine's."""
    if not names:
        return
    taken = connection.execute(
        "SELECT lower(view_name) FROM duckdb_views() UNION SELECT lower(table_name) FROM duckdb_tables()"
    ).fetchall()
    if hidden := names & {name for (name,) in taken}:
        raise BadRequestError(f"`{min(hidden)}` is taken", next_step="give the common table another name")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Every object of the tree, each before those within it."""
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left += node.values()
        elif isinstance(node, list):
            left += node


def _depth(text: str) -> int:
    """Brackets that are open at once, counted without regard to texts and comments: more rather than fewer."""
    depth = most = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}" and depth > 0)
        most = max(most, depth)
    return most


def _not_here(part: str) -> BadRequestError:
    return BadRequestError(f"a statement may not have `{_cut(part)}` here")


def _refused(fault: Exception) -> BadRequestError:
    said = f": {_cut(_PATH.sub('…', str(fault).splitlines()[0]))}" if str(fault) else ""
    return BadRequestError(f"the statement cannot be run{said}", next_step="see `pdp audit columns` for the columns")


def _cut(text: str) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown if len(shown) <= _MAX_MESSAGE else shown[: _MAX_MESSAGE - 1] + "…"
