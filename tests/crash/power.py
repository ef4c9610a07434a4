"""What may be on a disk after the power failed: from the journal of what was asked of it.

Kept for sure: the content of a file up to its last finished sync, and the names that its directory had when that
was last synced. Of everything after it, dice decide, in one of these ways:

    prefix    the writes that came first, and of the next one the first bytes
    blocks    any of the 4 KiB blocks that were written, each as it was after any of its writes; the length as
              after any of them, with zeros where a block is missing
    names     made, renamed and removed: the first of them (as journalling file systems do), or any of them

A sync that had begun and not ended promises nothing. This is harsher than ext4 and xfs are by default, which also
write names in order and bring a new file's name to the disk with its content.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from random import Random

    from tests.crash.journal import Entry

BLOCK: Final = 4096

Change = tuple[int, bytes | None]
"""(offset, data) of a write; (length, None) of a cut."""


@dataclass(slots=True, eq=False)
class _File:
    """`durable` is on the disk; `pending` came after it. `begun`: how many changes a sync under way is about."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)
    settled: int = 0  # changes that went into `durable`
    begun: dict[int, int] = field(default_factory=dict)

    def begin_sync(self, token: int) -> None:
        self.begun[token] = self.settled + len(self.pending)

    def end_sync(self, token: int) -> None:
        upto = self.begun.pop(token, 0) - self.settled  # 0: begun on a file that had this inode before
        if upto > 0:  # another sync may have covered them
            for change in self.pending[:upto]:
                _apply(self.durable, change)
            del self.pending[:upto]
            self.settled += upto

    def now(self) -> bytes:
        content = bytearray(self.durable)
        for change in self.pending:
            _apply(content, change)
        return bytes(content)

    def after_cut(self, dice: Random, torn: Literal["prefix", "blocks"]) -> bytes:
        if not self.pending:
            return bytes(self.durable)
        return self._prefix(dice) if torn == "prefix" else self._blocks(dice)

    def _prefix(self, dice: Random) -> bytes:
        content = bytearray(self.durable)
        whole = dice.randint(0, len(self.pending))
        for change in self.pending[:whole]:
            _apply(content, change)
        if whole < len(self.pending):
            offset, data = self.pending[whole]
            if data is not None:
                _apply(content, (offset, data[: dice.randint(0, len(data))]))
        return bytes(content)

    def _blocks(self, dice: Random) -> bytes:
        versions = [bytes(self.durable)]
        for change in self.pending:
            content = bytearray(versions[-1])
            _apply(content, change)
            versions.append(bytes(content))
        length = len(dice.choice(versions))
        chosen = bytearray()
        for at in range(0, length, BLOCK):
            block = dice.choice(versions)[at : at + BLOCK]
            chosen += block + bytes(BLOCK - len(block))
        return bytes(chosen[:length])


@dataclass(slots=True, eq=False)
class _Directory:
    pass


@dataclass(slots=True, eq=False)
class _Name:
    """One change of names, not yet on the disk: `gone` loses its meaning, `here` gets `node`."""

    number: int
    directories: frozenset[str]
    gone: str | None
    here: str | None
    node: _File | _Directory | None


class Disk:
    """Fed with the journal, entry by entry; asked in between what a power cut would leave.

    `root` as it is found now is on the disk for sure.
    """

    def __init__(self, root: Path) -> None:
        self._root_inode = root.stat().st_ino
        self._nodes: dict[int, _File | _Directory] = {}
        self._paths: dict[int, str] = {}  # of directories
        self._names: dict[str, _File | _Directory] = {}  # on the disk for sure
        self._loose: list[_Name] = []
        self._begun: dict[int, tuple[str, int]] = {}  # syncs of directories: which, and the last change it is about
        self._changes = 0
        for path in sorted(root.rglob("*")):
            node = _Directory() if path.is_dir() else _File(bytearray(path.read_bytes()))
            inode, name = path.stat().st_ino, str(path.relative_to(root))
            self._nodes[inode] = self._names[name] = node
            if isinstance(node, _Directory):
                self._paths[inode] = name

    def take(self, entry: Entry) -> None:
        """The next entry. Raises KeyError where it speaks of a file that was never made: the shim missed something."""
        if entry.op in "CDRLU":
            self._rename(entry)
        elif entry.op == "W":
            self._file(entry).pending.append((entry.offset, entry.data))
        elif entry.op == "T":
            self._file(entry).pending.append((entry.offset, None))
        elif entry.op in "Ff":
            self._sync(entry)

    def _rename(self, entry: Entry) -> None:
        if entry.op in "CD":
            node: _File | _Directory = _File() if entry.op == "C" else _Directory()
            self._nodes[entry.inode] = node
            if entry.op == "D":
                self._paths[entry.inode] = entry.path
            gone, here = None, entry.path
        elif entry.op == "U":
            node, gone, here = self._nodes[entry.inode], entry.path, None
        else:
            node, here = self._nodes[entry.inode], entry.data.decode()
            gone = entry.path if entry.op == "R" else None
            if isinstance(node, _Directory):
                raise KeyError("directories are not renamed in a log")
        directories = frozenset(_parent(name) for name in (gone, here) if name is not None)
        self._loose.append(_Name(self._changes, directories, gone, here, node))
        self._changes += 1

    def _file(self, entry: Entry) -> _File:
        node = self._nodes[entry.inode]
        assert isinstance(node, _File)
        return node

    def _sync(self, entry: Entry) -> None:
        node = self._nodes.get(entry.inode)
        if isinstance(node, _File):
            node.begin_sync(entry.token) if entry.op == "F" else node.end_sync(entry.token)
        elif entry.op == "F":
            path = "" if entry.inode == self._root_inode else self._paths[entry.inode]
            self._begun[entry.token] = path, self._changes
        else:
            self._settle(*self._begun.pop(entry.token))

    def _settle(self, directory: str, upto: int) -> None:
        """The names of the directory as they were when its sync began."""
        left: list[_Name] = []
        for change in self._loose:
            if change.number < upto and directory in change.directories:
                _do(self._names, change)
                # A name that went to another directory is not there any more, whatever made it.
                left = [earlier for earlier in left if change.gone is None or earlier.here != change.gone]
            else:
                left.append(change)
        self._loose = left

    def whole(self) -> dict[str, bytes | None]:
        """As the running system sees it now: content by path, None for a directory."""
        names = dict(self._names)
        for change in self._loose:
            _do(names, change)
        return {path: node.now() if isinstance(node, _File) else None for path, node in names.items()}

    def after_cut(self, dice: Random) -> dict[str, bytes | None]:
        """One state that may be found when the power comes back."""
        names = dict(self._names)
        for change in _surviving(self._loose, dice):
            _do(names, change)
        torn = dice.choice(("prefix", "blocks"))
        found: dict[str, bytes | None] = {}
        for path, node in sorted(names.items()):
            if _parent(path) and found.get(_parent(path), b"") is not None:
                continue  # its directory did not survive
            found[path] = node.after_cut(dice, torn) if isinstance(node, _File) else None
        return found


def _surviving(loose: Sequence[_Name], dice: Random) -> Sequence[_Name]:
    if dice.random() < 0.5:
        return loose[: dice.randint(0, len(loose))]
    return [change for change in loose if dice.random() < 0.5]


def _do(names: dict[str, _File | _Directory], change: _Name) -> None:
    if change.gone is not None:
        names.pop(change.gone, None)
    if change.here is not None and change.node is not None:
        names[change.here] = change.node


def _apply(content: bytearray, change: Change) -> None:
    offset, data = change
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def write_state(state: dict[str, bytes | None], place: Path) -> None:
    """Put it into an empty directory."""
    place.mkdir(parents=True)
    for path, content in sorted(state.items()):
        if content is None:
            (place / path).mkdir()
        else:
            (place / path).write_bytes(content)
