"""Which files to read, what they hold, and all their rows: from paths to entries."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, Literal

from pdp.directory.files.csv_file import read_csv
from pdp.directory.files.encoding import decode
from pdp.directory.files.entry import Rows
from pdp.directory.files.faults import Fault
from pdp.directory.files.fields import FILE_NAMES, SHEETS
from pdp.directory.files.yaml_file import read_yaml
from pdp.directory.runs import FileDigest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pdp.directory.files.entry import Entry
    from pdp.directory.files.faults import Faults
    from pdp.directory.files.fields import Sheet

MAX_BYTES: Final = 64 * 1024 * 1024  # of a CSV file
MAX_YAML_BYTES: Final = 16 * 1024 * 1024  # YAML takes a hundred times its size while it is read
MAX_FILES: Final = 100


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it came; from an upload as well as from disk. `name` stands in every fault."""

    name: str
    content: bytes

    @property
    def digest(self) -> FileDigest:
        return FileDigest(self.name, sha256(self.content).hexdigest(), len(self.content))


def read_sources(paths: Sequence[Path], faults: Faults) -> tuple[SourceFile, ...]:
    """The named files, and every file in the named folders (not below them). Hidden files are passed over."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
            if not inside:
                faults.add(Fault(str(path), None, None, "the folder holds no file", "name another folder"))
            found += inside
        else:
            found.append(path)
    if len(found) > MAX_FILES:
        faults.add(Fault(str(paths[0]), None, None, f"more than {MAX_FILES} files", "name fewer"))
        return ()
    return tuple(source for path in found if (source := _source(path, faults)) is not None)


def _source(path: Path, faults: Faults) -> SourceFile | None:
    name = str(path).encode("utf-8", "backslashreplace").decode()  # a name that is not UTF-8 can be journalled too
    try:
        if path.stat().st_size > MAX_BYTES:
            faults.add(_too_large(name, MAX_BYTES))
            return None
        return SourceFile(name, path.read_bytes())
    except OSError as fault:
        reason = fault.strerror or type(fault).__name__
        faults.add(
            Fault(str(path), None, None, f"the file cannot be read: {reason.lower()}", "check name and permissions")
        )
        return None


@dataclass(frozen=True, slots=True)
class Reading:
    """All rows of all files. `unsure`: sheets of which a row was lost to a fault, so that it may seem missing."""

    entries: tuple[Entry, ...]
    brought: frozenset[Sheet]
    unsure: frozenset[Sheet]


def read_entries(sources: Iterable[SourceFile], faults: Faults) -> Reading:
    """Read every file; each fault is added, and nothing stops at the first."""
    entries: list[Entry] = []
    brought: set[Sheet] = set()
    unsure: set[Sheet] = set()
    for source in sources:
        kind = _kind_of(source.name)
        if kind is None:
            faults.add(Fault(source.name, None, None, "the name says no register", _NAMES))
            unsure.update(SHEETS)
            continue
        rows = _rows(source, kind, faults)
        entries += rows.entries
        brought |= rows.sheets
        if not rows.whole:
            unsure.update(SHEETS if kind == "yaml" else (kind,))
    return Reading(tuple(entries), frozenset(brought), frozenset(unsure))


def _rows(source: SourceFile, kind: Sheet | Literal["yaml"], faults: Faults) -> Rows:
    limit = MAX_YAML_BYTES if kind == "yaml" else MAX_BYTES
    text = None
    if len(source.content) > limit:
        faults.add(_too_large(source.name, limit))
    else:
        text = decode(source.content, source.name, faults)
    if text is None:
        return Rows([], frozenset(), whole=False)
    return read_yaml(source.name, text, faults) if kind == "yaml" else read_csv(kind, source.name, text, faults)


_NAMES: Final = (
    "call it `directory.yaml`, or `REGISTER.csv` with one of: "
    + ", ".join(dict.fromkeys(FILE_NAMES.values()))
    + "; more may follow after a - or _"
)


def _kind_of(name: str) -> Sheet | Literal["yaml"] | None:
    path = PurePath(name)
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return "yaml"
    if suffix != ".csv":
        return None
    stem = path.stem
    longest_first = sorted(FILE_NAMES, key=len, reverse=True)
    return next((FILE_NAMES[n] for n in longest_first if stem == n or stem.startswith((f"{n}-", f"{n}_"))), None)


def _too_large(name: str, limit: int) -> Fault:
    return Fault(name, None, None, f"the file is larger than {limit // 2**20} MiB", "split it")
