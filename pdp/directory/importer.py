"""Importing files into the directory: everything is right and everything is written, or nothing is.

1. Read the files, and find every fault in them (`pdp.directory.files`).
2. Inside one transaction, in which nobody else changes the directory: read it as it is,
3. lay the rows over it (`merging`), and check what must hold between them (`references`),
4. refuse a replacement that takes away more than it may: half a file is not a register,
5. where there is no fault and this is no trial, write the difference and the run's record.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from pdp.directory.changes import change
from pdp.directory.difference import RegisterDifference, apply, difference
from pdp.directory.files.faults import ALL_FILES, Fault, Faults
from pdp.directory.files.reading import Reading, SourceFile, read_entries, read_sources
from pdp.directory.merging import merge
from pdp.directory.reading import read_registers
from pdp.directory.references import check_references
from pdp.directory.runs import FileDigest, ImportRun, record_run
from pdp.directory.snapshot import read_epoch
from pdp.errors import ImportRefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Connection

    from pdp.directory.registers import Register, Registers
    from pdp.store.store import Store

Mode = Literal["merge", "replace"]
ALLOWED_REMOVALS_PERCENT: Final = 10.0


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """How to import. `actor` is who does it, for the record; `allow_removals` in percent of a register.

    `known_resources`: the ids of the bundle's catalogue, to check the systems of work permits against.
    """

    now: datetime
    actor: str
    mode: Mode = "merge"
    dry_run: bool = False
    allow_removals: float = ALLOWED_REMOVALS_PERCENT
    known_resources: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import found and did. `epoch` is the directory's after it.

    `outcome`: imported; unchanged (the files say what the directory holds); dry_run (it could be imported);
    refused (`faults` say why; `fault_count` counts those beyond the first 1,000 too). `kept_newer` names the
    devices whose posture in the directory is newer than the file's, and was kept.
    """

    outcome: Literal["imported", "unchanged", "dry_run", "refused"]
    mode: Mode
    epoch: int
    files: tuple[FileDigest, ...]
    differences: Mapping[Register, RegisterDifference] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    fault_count: int = 0
    kept_newer: tuple[str, ...] = ()

    def require(self) -> ImportReport:
        """The report itself. Raises ImportRefusedError with every fault as one line where it was refused."""
        if self.outcome == "refused":
            lines = tuple(str(fault) for fault in self.faults)
            raise ImportRefusedError(f"nothing was imported: {self.fault_count} faults", lines)
        return self


def import_directory(  # noqa: PLR0913  # one choice each
    store: Store,
    paths: Sequence[Path],
    *,
    mode: Mode = "merge",
    dry_run: bool = False,
    now: datetime,
    actor: str,
    allow_removals: float = ALLOWED_REMOVALS_PERCENT,
    known_resources: Collection[str] | None = None,
) -> ImportReport:
    """Import files or folders. The report says what happened; faults of the files never raise.

    Raises DirectoryError where the store does not answer; nothing is changed then either.
    """
    faults = Faults()
    sources = read_sources(paths, faults)
    plan = ImportPlan(now, actor, mode, dry_run, allow_removals, known_resources)
    return _import(store, sources, plan, faults)


def import_sources(store: Store, sources: Sequence[SourceFile], plan: ImportPlan) -> ImportReport:
    """`import_directory` of files that are in memory, such as an upload."""
    return _import(store, sources, plan, Faults())


def _import(store: Store, sources: Sequence[SourceFile], plan: ImportPlan, faults: Faults) -> ImportReport:
    if not sources and not faults:
        faults.add(Fault(ALL_FILES, None, None, "there is no file to import", "name a file or a folder"))
    importing = _Importing(sources, read_entries(sources, faults), plan, faults)
    if plan.dry_run or faults:  # nothing will be written, so nobody need wait
        with store.read() as connection:
            return importing.judge(connection).report
    with change(store, plan.now) as inside:
        judged = importing.judge(inside.connection)
        if judged.report.outcome == "refused":
            return judged.report
        differs = judged.report.differences
        apply(differs, judged.current, judged.target, inside)
        epoch = inside.epoch + 1 if differs else inside.epoch
        counts = {str(register): part.counts for register, part in differs.items()}
        run = ImportRun(plan.now, plan.actor, plan.mode, epoch, judged.report.files, counts)
        record_run(inside.connection, run)
    return replace(judged.report, outcome="imported" if differs else "unchanged", epoch=epoch)


@dataclass(frozen=True, slots=True)
class _Judged:
    report: ImportReport
    current: Registers
    target: Registers


class _Importing:
    def __init__(self, sources: Sequence[SourceFile], reading: Reading, plan: ImportPlan, faults: Faults) -> None:
        self._files = tuple(source.digest for source in sources)
        self._reading = reading
        self._plan = plan
        self._faults = faults

    def judge(self, connection: Connection) -> _Judged:
        """What would happen to the directory as this transaction sees it."""
        plan, faults, reading = self._plan, self._faults, self._reading
        current = read_registers(connection)
        merged = merge(current, reading, remove_the_rest=plan.mode == "replace", now=plan.now, faults=faults)
        check_references(merged, reading.unsure, faults, plan.known_resources)
        differs = difference(current, merged.target)
        if faults:
            differs = {}  # a difference of half-read files says nothing
        elif plan.mode == "replace":
            self._check_removals(differs, _without_posts(current, merged.target))
        return _Judged(
            ImportReport(
                outcome="refused" if faults else "dry_run",
                mode=plan.mode,
                epoch=read_epoch(connection),
                files=self._files,
                differences=differs,
                faults=faults.kept,
                fault_count=faults.count,
                kept_newer=merged.kept_newer,
            ),
            current,
            merged.target,
        )

    def _check_removals(self, differs: Mapping[Register, RegisterDifference], posts: tuple[int, int]) -> None:
        taken = {str(register): (len(part.removed), part.before) for register, part in differs.items()}
        for register, (removed, before) in {**taken, "posts": posts}.items():
            share = 100 * removed / before if before else 0
            if share > self._plan.allow_removals:
                message = (
                    f"{removed} of {before} rows of {register} would be removed ({share:.0f} %), "
                    f"and {self._plan.allow_removals:g} % may be"
                )
                step = "check that the files are whole; if they are, allow it with `--allow-removals`"
                self._faults.add(Fault(ALL_FILES, None, None, message, step))


def _without_posts(current: Registers, target: Registers) -> tuple[int, int]:
    """(how many users lose every post, how many had one): half a file of posts is as bad as half a file of users."""
    had = [id_ for id_, user in current.users.items() if user.posts]
    return sum(1 for id_ in had if id_ in target.users and not target.users[id_].posts), len(had)
