"""Scenarios to the rows of a table. Pure. `table` says what a row is."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from pdp.scenario.cells import CellError, written
from pdp.scenario.columns import ALWAYS, COLUMNS, EXPECT, ID, LISTS, NOW, POST, REQUEST, STEP, TITLES
from pdp.scenario.table import REPORTED, TableError, TableFault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pdp.scenario.columns import Column

Row = dict[str, str]  # by the id of its column; what is blank is not there


def to_rows(documents: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A heading and the rows. Raises TableError. The documents are scenarios, as the format has read them."""
    rows: list[Row] = []
    seen: set[str] = set()
    for document in documents:
        name = str(document["id"])
        if name in seen:
            raise _refused(name, ID, "この名前のシナリオが二つある", "two scenarios are called so")
        seen.add(name)
        rows += _scenario_rows(document)
    used = {name for row in rows for name in row} | ALWAYS
    columns = [column for column in COLUMNS if column.id in used]
    return [[column.heading for column in columns], *([row.get(column.id, "") for column in columns] for row in rows)]


def _scenario_rows(document: Mapping[str, Any]) -> list[Row]:
    name = str(document["id"])
    rows = _section(name, document, None) if document.get("steps") is None or document.get("directory") else []
    for number, step in enumerate(document.get("steps") or (), start=1):
        rows += _section(name, step, number)
    title = document.get("title") or {}
    texts = {"en": title} if isinstance(title, str) else title
    if more := sorted(set(texts) - {"ja", "en"}):
        column = TITLES[0]._replace(ja="題名", id="title")
        raise _refused(name, column, f"題名に「{more[0]}」は書けない", f"a title in a table has no `{more[0]}`")
    for column in TITLES:
        _put(rows[0], name, column, texts)
    for row in rows:
        row[ID.id] = written(name, ID.kind)
    return rows


def _section(name: str, part: Mapping[str, Any], number: int | None) -> list[Row]:
    """The rows of a story, or of one of its steps."""
    first: Row = {}
    for column in (NOW, *REQUEST, *EXPECT):
        holder = part if column is NOW else part.get(column.id.partition(".")[0]) or {}
        _put(first, name, column, holder)
    lanes: list[list[Row]] = [[first]]
    for key, found in (part.get("directory") or {}).items():
        items = [found] if isinstance(found, dict) else found
        lanes.append([row for item in items for row in _item_rows(name, key, item)])
    rows = [{key: text for row in beside if row for key, text in row.items()} for beside in zip_longest(*lanes)]
    if number is not None:
        for row in rows:
            row[STEP.id] = str(number)
    return rows


def _item_rows(name: str, key: str, item: Mapping[str, Any]) -> Iterator[Row]:
    row: Row = {}
    given = dict(item)
    if key == "disaster":
        given["declared"] = True
    if key == "users" and given.get("employment") == {}:
        given["employment"] = {"status": "active"}
    if key == "devices" and isinstance(given.get("posture"), dict):
        row["device.posture"] = REPORTED
    for column in LISTS[key]:
        if column.id != "device.posture" or REPORTED not in row.values():
            _put(row, name, column, given)
    posts = (given.get("posts") or []) if key == "users" else []
    for number, post in enumerate(posts):
        beside: Row = {}
        for column in POST:
            _put(beside, name, column, post)
        if number == 0:
            row |= beside
            yield row
        else:
            yield beside
    if not posts:
        yield row


def _put(row: Row, name: str, column: Column, holder: Mapping[str, Any]) -> None:
    value: Any = holder
    for part in column.path:
        if not isinstance(value, dict) or part not in value:
            return
        value = value[part]
    if value is None or (column.id == "device.posture" and isinstance(value, dict)):
        return
    try:
        row[column.id] = written(value, column.kind)
    except CellError as fault:
        raise _refused(name, column, fault.ja, fault.en) from None


def _refused(name: str, column: Column, ja: str, en: str) -> TableError:
    return TableError([TableFault(0, column.heading, f"シナリオ「{name}」: {ja}", f"scenario `{name}`: {en}")])
