"""How long records are kept: hot, then archived, then removed; never past a legal hold.

A plan says what would happen and changes nothing; `carry_out` does what the plan says and looks at the holds
once more, in the transaction that removes. Files are moved and removed whole: one goes when its newest record
is old enough, and one record under a hold keeps its file.

What stays for ever: which segments there were, their numbers, digests and ends (for proofs), and what was
removed when and why. Defaults: 12 months hot, then 36 archived (japan.md, section 7, question 9).
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pdp.archive.entries import Hold, StoredFile, covers
from pdp.declog.layout import segment_name
from pdp.errors import NotReadyError
from pdp.transparency.seal import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from pdp.archive.store import LocalStore

What = Literal["keep", "archive", "remove", "held"]
_ALWAYS: Final = 1_200  # months; a hundred years are for ever


@dataclass(frozen=True, slots=True)
class Terms:
    """Whole months. `archive_months` come after the hot ones. `folder`: where archived files go; None: they stay."""

    hot_months: int = 12
    archive_months: int = 36
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What is to happen to one file; `holds` are the numbers of the holds that keep it."""

    what: What
    file: StoredFile
    holds: tuple[int, ...] = ()


def plan(store: LocalStore, terms: Terms, now: datetime) -> list[Step]:
    """What the terms ask for, the oldest file first. Nothing is changed. `now` is in UTC."""
    files = store.manifest.files()
    holds = store.manifest.holds()
    moment = now.replace(tzinfo=None)
    return [_step(file, terms, moment, holds) for file in reversed(files)]


def _step(file: StoredFile, terms: Terms, now: datetime, holds: Sequence[Hold]) -> Step:
    newest = file.max_time
    if newest is None:
        return Step("keep", file)  # nobody can say how old it is
    if newest < months_before(now, months_of(terms.hot_months, terms.archive_months)):
        keeping = tuple(hold.id for hold in holds if covers(hold, file))
        return Step("held" if keeping else "remove", file, keeping)
    if file.tier == "hot" and newest < months_before(now, min(terms.hot_months, _ALWAYS)):
        return Step("archive", file)
    return Step("keep", file)


def naming(file: str, segments: Iterable[str]) -> str:
    """How the trail names a file that is to go: with a digest over its segments' names.

    What the manifest calls removed later is held against this: it cannot move another segment into that file.
    """
    digest = sha256("\n".join(sorted(segments)).encode()).hexdigest()
    return f"{file} {digest}"


def names_of(store: LocalStore, steps: Sequence[Step]) -> list[str]:
    """What these steps remove, as the trail names it. Raises NotReadyError."""
    removed = (step.file.name for step in steps if step.what == "remove")
    return [naming(name, (str(segment.name) for segment in store.manifest.segments_of(name))) for name in removed]


def batches(steps: Sequence[Step], most: int) -> list[list[Step]]:
    """In their order, with at most so many removals in each; one at least."""
    found: list[list[Step]] = [[]]
    room = most
    for step in steps:
        if step.what == "remove" and not room:
            found.append([])
            room = most
        room -= step.what == "remove"
        found[-1].append(step)
    return found


def months_of(hot: int, archive: int) -> int:
    """After how many months records go."""
    return min(hot + archive, _ALWAYS)


def carry_out(store: LocalStore, steps: Sequence[Step], terms: Terms, now: datetime) -> list[Step]:
    """Do it, under the compactor's lock. Gives what was done.

    A file that a hold names by now is left out, and one that is not what it was when it was planned for.

    Raises OSError and NotReadyError; what was done until then stands, and the next run goes on.
    """
    done: list[Step] = []
    counting = set(store.manifest.files())
    for step in steps:
        if step.file not in counting:  # merged or rewritten since the plan: what it was must not count again
            continue
        if step.what == "archive":
            _archive(store, step.file, terms.folder)
            done.append(step)
        elif step.what == "remove" and _remove(store, step.file, terms, now):
            done.append(step)
    return done


def _archive(store: LocalStore, file: StoredFile, folder: Path | None) -> None:
    if folder is None:
        store.manifest.moved(file, file.folder)
        return
    copies = [
        (store.rows_path(file), folder / "rows" / file.name, file.sha256),
        (store.hourly_path(file), folder / "hourly" / file.name, file.hourly_sha256),
    ]
    for original, copy, digest in copies:
        _copy(store, original, copy, digest)
    store.manifest.moved(file, str(folder.resolve()))
    for original, copy, _ in copies:  # from here on readers look for the copies
        if original.resolve() != copy.resolve():
            store.disk.remove(original)


def _copy(store: LocalStore, original: Path, copy: Path, digest: str) -> None:
    copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if copy.exists() and digest_of(copy) == digest:
        return  # a run before this one came so far
    aside = copy.with_name(copy.name + ".tmp")
    aside.unlink(missing_ok=True)
    descriptor = store.disk.create(aside)
    try:
        with original.open("rb") as file:
            while block := file.read(1 << 20):
                store.disk.write(descriptor, block)
        store.disk.sync(descriptor)
    finally:
        store.disk.close(descriptor)
    if digest_of(aside) != digest:
        raise NotReadyError(f"the stored file `{original.name}` is not what was stored; it is left where it is")
    store.disk.rename(aside, copy)
    store.disk.sync_directory(copy.parent)


def _remove(store: LocalStore, file: StoredFile, terms: Terms, now: datetime) -> bool:
    paths = store.rows_path(file), store.hourly_path(file)
    segments = store.manifest.segments_of(file.name)
    try:
        store.manifest.removed(file, now, f"older than {terms.hot_months} + {terms.archive_months} months")
    except NotReadyError:
        return False
    for path in paths:
        path.unlink(missing_ok=True)
    newest = store.newest()
    names = [segment.name for segment in segments if segment.name not in newest]
    kept = [name for name in names if store.layout.sealed_path(name).exists()]
    store.remove_these(kept, now)  # the same records, where their segments were kept
    store.remove_torn(names)
    return True


def left_behind(store: LocalStore) -> list[str]:
    """Segments that still lie here although their records were to be removed. Removes nothing.

    A crash came between, or one was the newest of its worker then, and is no more.
    """
    newest, gone = store.newest(), _gone(store)
    return [str(name) for name in store.layout.names() if str(name) in gone and name not in newest]


def _gone(store: LocalStore) -> frozenset[str]:
    return frozenset(str(row[0]) for row in store.manifest.overview() if row[6] == "removed")


def finish(store: LocalStore, now: datetime) -> int:
    """Remove what a run left behind that died, here and in the archive's folder. Gives how many segments."""
    names = [name for text in left_behind(store) if (name := segment_name(text)) is not None]
    store.remove_these(names, now)
    newest = {str(name) for name in store.newest()}
    gone = (name for text in _gone(store) - newest if (name := segment_name(text)) is not None)
    store.remove_torn(gone)
    for folder, file in store.manifest.gone():
        if folder:
            for part in ("rows", "hourly"):
                (Path(folder) / part / file).unlink(missing_ok=True)
    return len(names)


def months_before(instant: datetime, months: int) -> datetime:
    """The same day and time so many months earlier, or the last day of that month."""
    index = max(instant.year * 12 + instant.month - 1 - months, 12)
    year, month = index // 12, index % 12 + 1
    return instant.replace(year=year, month=month, day=min(instant.day, monthrange(year, month)[1]))
