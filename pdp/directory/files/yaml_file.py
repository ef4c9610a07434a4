"""A directory in YAML: the form that scenario files use, with the line of every key.

users:   [{id: u-1, kind: staff, posts: [{department: soumu, from: 2023-04-01}]}]
devices: [{id: d-1, class: managed_pc, owner: u-1, posture: healthy}]
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

from pdp.directory.files.entry import Cell, Entry, Rows, read_entry
from pdp.directory.files.faults import Fault, shown
from pdp.directory.files.fields import FIELDS
from pdp.errors import BadRequestError
from pdp.plain_yaml import compose_one

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.directory.files.faults import Faults
    from pdp.directory.files.fields import Sheet

_SECTIONS: Final[Mapping[str, Sheet]] = {
    "users": "users",
    "devices": "devices",
    "permits": "permits",
    "loans": "loans",
    "work_permits": "work_permits",
    "resources": "resources",
    "emergencies": "emergencies",
    "disaster": "emergencies",
}
_EMPLOYMENT: Final[Mapping[str, str]] = {"from": "employed_from", "until": "employed_until", "status": "status"}
# What `posts` says in YAML, or its place in the list.
_ONLY_CSV: Final[Mapping[str, tuple[str, ...]]] = {
    "users": ("department", "post_from", "post_until"),
    "posts": ("user", "order"),
    "posture": ("device",),
}
_HEALTHY: Final[Mapping[str, Any]] = {
    "certificate": True,
    "disk_encrypted": True,
    "edr_running": True,
    "edr_risk": "none",
    "av_current": True,
    "firewall": True,
    "screen_lock": True,
    "tampered": False,
    "patch_age_days": 3,
    "age_hours": 1,
}
_MAX_DIGITS: Final = 100


class _Pair(NamedTuple):
    key: str
    line: int
    node: yaml.Node


def read_yaml(file: str, text: str, faults: Faults) -> Rows:
    """Every row of every section; a device's posture is a row of its own.

    Posture comes with its devices, so the file never counts as bringing the whole posture register.
    """
    before = faults.count
    try:
        root = compose_one(text)
    except BadRequestError as fault:
        faults.add(Fault(file, None, None, fault.message, "correct the YAML"))
        return Rows([], frozenset(), whole=False)
    reader = _Reader(file, faults)
    sections = reader.pairs(root) if root is not None else []
    if len(sections) == 1 and sections[0].key == "directory":
        sections = reader.pairs(sections[0].node)
    if not sections and not faults:
        faults.add(Fault(file, 1, None, "the file is empty", f"name at least one of {', '.join(_SECTIONS)}"))
    for section in sections:
        reader.section(section)
    sheets = frozenset(_SECTIONS[section.key] for section in sections if section.key in _SECTIONS)
    return Rows(reader.entries, sheets, whole=faults.count == before)


class _Reader:
    def __init__(self, file: str, faults: Faults) -> None:
        self._file = file
        self._faults = faults
        self.entries: list[Entry] = []

    def section(self, section: _Pair) -> None:
        sheet = _SECTIONS.get(section.key)
        if sheet is None:
            self._unknown(section, _SECTIONS)
            return
        node = section.node
        rows = [node] if section.key == "disaster" and isinstance(node, yaml.MappingNode) else self._items(section)
        for row in rows:
            line = row.start_mark.line + 1
            pairs = self.pairs(row)
            if sheet == "users":
                self._user(line, pairs)
            elif sheet == "devices":
                self._device(line, pairs)
            elif pairs:
                self._row(sheet, line, pairs)

    def pairs(self, node: yaml.Node) -> list[_Pair]:
        """The keys of a mapping; a fault where it is none, and for a key that is no text or stands twice."""
        if not isinstance(node, yaml.MappingNode):
            self._add(node, None, f"{shown(_plain(node))} is not a mapping", "write {key: value}")
            return []
        found: dict[str, _Pair] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or name in found:
                self._add(key, name, "the key stands twice" if name else "a key must be a text", "leave it out")
                continue
            found[name] = _Pair(name, key.start_mark.line + 1, value)
        return list(found.values())

    def _items(self, pair: _Pair) -> list[yaml.Node]:
        if isinstance(pair.node, yaml.SequenceNode):
            return list(pair.node.value)
        if _plain(pair.node) is not None:
            self._add(pair.node, pair.key, f"{shown(_plain(pair.node))} is not a list", "write [{…}, {…}]")
        return []

    def _user(self, line: int, pairs: list[_Pair]) -> None:
        flat: list[_Pair] = []
        posts: tuple[Entry, ...] | None = None
        id_ = next((_plain(pair.node) for pair in pairs if pair.key == "id"), None)
        for pair in pairs:
            if pair.key == "employment" and _plain(pair.node) is not None:
                flat += self._employment(pair)
            elif pair.key == "posts":
                posts = self._posts(pair, id_)
            elif pair.key != "employment":
                flat.append(pair)
        entry = self._row("users", line, flat, keep=False) if pairs else None
        if entry is not None:
            fields = entry.fields if posts is None else {**entry.fields, "posts": posts}
            self.entries.append(Entry("users", entry.file, entry.line, fields, entry.columns, entry.lines))

    def _employment(self, pair: _Pair) -> list[_Pair]:
        flat = []
        for inner in self.pairs(pair.node):
            if inner.key in _EMPLOYMENT:
                flat.append(inner._replace(key=_EMPLOYMENT[inner.key]))
            else:
                self._unknown(inner, _EMPLOYMENT)
        return flat

    def _posts(self, pair: _Pair, user: Any) -> tuple[Entry, ...]:
        found = []
        for node in self._items(pair):
            cells = self._cells("posts", self.pairs(node))
            if cells and isinstance(user, str):
                cells.append(_cell("posts", "user", user))
                line = node.start_mark.line + 1
                found.append(read_entry("posts", self._file, line, cells, self._faults))
        return tuple(entry for entry in found if entry is not None)

    def _device(self, line: int, pairs: list[_Pair]) -> None:
        posture = next((pair for pair in pairs if pair.key == "posture"), None)
        entry = self._row("devices", line, [pair for pair in pairs if pair is not posture]) if pairs else None
        if entry is None or posture is None or _plain(posture.node) is None:
            return
        cells = self._posture(posture)
        if cells:
            cells.append(_cell("posture", "device", entry.fields["id"]))
            report = read_entry("posture", self._file, posture.line, cells, self._faults)
            if report is not None:
                self.entries.append(report)

    def _posture(self, pair: _Pair) -> list[Cell]:
        if _plain(pair.node) == "healthy":
            return [_cell("posture", name, value) for name, value in _HEALTHY.items()]
        if not isinstance(pair.node, yaml.MappingNode):
            self._add(
                pair.node, "posture", f"{shown(_plain(pair.node))} is no posture", "write healthy or {fact: value}"
            )
            return []
        return self._cells("posture", self.pairs(pair.node))

    def _row(self, sheet: Sheet, line: int, pairs: Iterable[_Pair], *, keep: bool = True) -> Entry | None:
        entry = read_entry(sheet, self._file, line, self._cells(sheet, pairs), self._faults)
        if entry is not None and keep:
            self.entries.append(entry)
        return entry

    def _cells(self, sheet: Sheet, pairs: Iterable[_Pair]) -> list[Cell]:
        fields = {field.name: field for field in FIELDS[sheet] if field.name not in _ONLY_CSV.get(sheet, ())}
        cells = []
        for pair in pairs:
            if pair.key in fields:
                cells.append(Cell(fields[pair.key], pair.key, _plain(pair.node), pair.line))
            else:
                self._unknown(pair, fields)
        return cells

    def _unknown(self, pair: _Pair, known: Mapping[str, object]) -> None:
        close = get_close_matches(pair.key[:100], list(known), n=1)
        step = f"write {shown(close[0])}, or leave it out" if close else "leave it out"
        self._faults.add(Fault(self._file, pair.line, pair.key, "the key is not known here", step))

    def _add(self, node: yaml.Node, column: str | None, message: str, next_step: str) -> None:
        self._faults.add(Fault(self._file, node.start_mark.line + 1, column, message, next_step))


def _cell(sheet: Sheet, name: str, value: Any) -> Cell:
    field = next(field for field in FIELDS[sheet] if field.name == name)
    return Cell(field, name, value)


def _plain(node: yaml.Node) -> Any:
    """What a node holds, by the YAML 1.2 core schema; a number of endless digits stays a text."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(part) for part in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    text = str(node.value)
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int" and len(text) <= _MAX_DIGITS:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text) if kind == "float" and len(text) <= _MAX_DIGITS else text
