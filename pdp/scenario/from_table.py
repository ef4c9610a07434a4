"""The rows of a table to scenarios. Pure. `table` says what a row is."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import ScenarioError
from pdp.scenario.cells import CellError, meant
from pdp.scenario.columns import BY_ID, EXPECT, ID, LISTS, NOW, POST, REQUEST, STEP, TITLES
from pdp.scenario.format import moment
from pdp.scenario.table import MAX_ROWS, REPORTED, TableError, TableFault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.scenario.columns import Column

MAX_FAULTS: Final = 100


@dataclass
class Told:
    """One scenario of a table, as the format has it; `places` says which cell each part of it came from."""

    document: dict[str, Any]
    row: int
    places: dict[str, tuple[int, str]] = field(default_factory=dict)

    def fault(self, text: str) -> TableFault:
        """What the format says against it, at the cell that it is about."""
        words, _, path = text.partition(" - at `")
        path = path.rstrip("`").replace("[...]", "")
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["))] if max(path.rfind("."), path.rfind("[")) > 0 else ""
        row, column = self.places.get(path, (self.row, ""))
        return TableFault(row, column, f"この値は使えない（{words}）", words)


def from_rows(rows: Sequence[Sequence[str]]) -> list[Told]:
    """The scenarios of a table, not yet held against the format. Raises TableError with every cell that is at fault."""
    if len(rows) > MAX_ROWS:
        raise TableError([TableFault(0, "", f"{MAX_ROWS} 行を超えている", f"more than {MAX_ROWS} rows")])
    reader = _Reader()
    reader.read(rows)
    if reader.faults:
        raise TableError(reader.faults[:MAX_FAULTS])
    return reader.told


class _Reader:
    def __init__(self) -> None:
        self.told: list[Told] = []
        self.faults: list[TableFault] = []
        self._columns: list[Column | None] = []
        self._names: set[str] = set()
        self._at = 0

    def read(self, rows: Sequence[Sequence[str]]) -> None:
        for self._at, cells in enumerate(rows, start=1):
            if self._at == 1:
                self._columns = list(self._headings(cells))
            elif any(cells):
                self._row(cells)
        if not self.told and not self.faults:
            self._fault("", "シナリオがない", "there is no scenario")
        for told in self.told:
            for part in (told.document, *told.document.get("steps", ())):
                spans = part.get("directory", {}).get("disaster", [])
                if len(spans) == 1:
                    part["directory"]["disaster"] = spans[0]

    def _headings(self, cells: Sequence[str]) -> Iterator[Column | None]:
        seen: set[str] = set()
        for cell in cells:
            name = cell[cell.rfind("[") + 1 : cell.rfind("]")] if cell.endswith("]") else cell
            if not cell:
                yield None
                continue
            if name not in BY_ID:
                self._fault(cell, "この列はない", "there is no such column")
            elif name in seen:
                self._fault(cell, "この列が二つある", "this column stands twice")
            seen.add(name)
            yield BY_ID.get(name)

    def _row(self, cells: Sequence[str]) -> None:
        found: dict[str, Any] = {}
        for column, cell in zip_longest(self._columns, cells):
            if not cell:
                continue
            if column is None:
                self._fault("", f"見出しのない列に「{cell[:20]}」がある", f"`{cell[:20]}` stands below no heading")
                continue
            try:
                found[column.id] = meant(cell, column.kind)
                if column is NOW:
                    moment(found[column.id])
            except CellError as fault:
                self._fault(column.heading, fault.ja, fault.en)
            except ScenarioError as fault:
                self._fault(column.heading, "時差を含む日時ではない（例 2023-08-01T10:00:00+09:00）", fault.message)
        told = self._story(found)
        if told is not None:
            self._add(told, found)

    def _story(self, found: dict[str, Any]) -> Told | None:
        name = found.get(ID.id)
        last = self.told[-1] if self.told else None
        if last is not None and name in (None, last.document["id"]):
            return last
        if name is None:
            self._fault(ID.heading, "シナリオの名前がない", "the scenario has no name")
            return None
        if name in self._names:
            self._fault(ID.heading, "同じシナリオの行が離れている", "the rows of one scenario stand apart")
            return None
        self._names.add(name)
        self.told.append(Told({"id": name}, self._at, {"$.id": (self._at, ID.heading)}))
        return self.told[-1]

    def _add(self, told: Told, found: dict[str, Any]) -> None:
        for column in TITLES:
            if column.id in found:
                self._set(told, "$.title", told.document.setdefault("title", {}), column, found[column.id])
        section = self._section(told, found.get(STEP.id))
        if section is None:
            return
        part, path = section
        if NOW.id in found:
            self._set(told, path, part, NOW, found[NOW.id])
        for name, columns in (("request", REQUEST), ("expect", EXPECT)):
            for column in columns:
                if column.id in found:
                    told.places.setdefault(f"{path}.{name}", (self._at, columns[0].heading))
                    self._set(told, f"{path}.{name}", part.setdefault(name, {}), column, found[column.id])
        for key, columns in LISTS.items():
            self._item(told, (part, f"{path}.directory.{key}"), key, {c: found[c.id] for c in columns if c.id in found})
        if posts := {c: found[c.id] for c in POST if c.id in found}:
            self._post(told, (part, f"{path}.directory.users"), posts)

    def _section(self, told: Told, step: Any) -> tuple[dict[str, Any], str] | None:
        """Where this row belongs: the story, or its last or next step."""
        steps = told.document.get("steps", [])
        if step is None and not steps:
            return told.document, "$"
        if (
            step is None
            or not isinstance(step, int)
            or isinstance(step, bool)
            or step not in (len(steps), len(steps) + 1)
        ):
            self._fault(
                STEP.heading, "手順は 1 から順に番号を付ける", "steps are numbered from 1 on, one after the other"
            )
            return None
        if step == 0:
            return told.document, "$"
        if step > len(steps):
            told.document.setdefault("steps", []).append({})
            told.places[f"$.steps[{step - 1}]"] = (self._at, STEP.heading)
        return told.document["steps"][step - 1], f"$.steps[{step - 1}]"

    def _item(self, told: Told, where: tuple[dict[str, Any], str], key: str, given: dict[Column, Any]) -> None:
        if not given:
            return
        part, path = where
        items = part.setdefault("directory", {}).setdefault(key, [])
        path = f"{path}[{len(items)}]"
        told.places[path] = (self._at, next(iter(given)).heading)
        item: dict[str, Any] = {}
        items.append(item)
        for column, value in given.items():
            if column.kind == "mark":
                continue
            if column.id == "device.posture" and value == REPORTED:
                item.setdefault("posture", {})
                continue
            if column.path[0] == "posture" and isinstance(item.get("posture"), str):
                self._fault(
                    column.heading, f"端末の健全性を「{REPORTED}」とする", f"`device.posture` is not `{REPORTED}`"
                )
                continue
            self._set(told, path, item, column, value)

    def _post(self, told: Told, where: tuple[dict[str, Any], str], given: dict[Column, Any]) -> None:
        part, path = where
        users = part.get("directory", {}).get("users", [])
        if not users:
            self._fault(POST[0].heading, "所属の利用者がいない", "there is no user whose post it is")
            return
        posts = users[-1].setdefault("posts", [])
        posts.append({})
        path = f"{path}[{len(users) - 1}].posts[{len(posts) - 1}]"
        told.places[path] = (self._at, POST[0].heading)
        for column, value in given.items():
            self._set(told, path, posts[-1], column, value)

    def _set(self, told: Told, path: str, holder: dict[str, Any], column: Column, value: Any) -> None:
        *parents, name = column.path
        for parent in parents:
            holder = holder.setdefault(parent, {})
        if name in holder:
            self._fault(column.heading, "この手順に二度ある", "it stands twice in this step")
            return
        holder[name] = value
        told.places[".".join((path, *column.path))] = (self._at, column.heading)

    def _fault(self, column: str, ja: str, en: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(TableFault(self._at, column, ja, en))
