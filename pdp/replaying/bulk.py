"""All decisions of a time, recomputed: read, put together, judged once, compared, told.

While the engines judge one batch, the next is read. What an ended replay had found by then is a report too.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from pdp.archive.arrow_tables import complete, rows_of
from pdp.archive.documents import document_of
from pdp.errors import BundleError, NotReadyError, RecordDamagedError
from pdp.replaying.grouping import Grouper
from pdp.replaying.hidden import hides_what_counts
from pdp.replaying.reading import Mark
from pdp.replaying.tally import DIMENSIONS, Kind, Report, Tally, recomputed_json

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import BinaryIO

    from pdp.bundle.bundle import Bundle
    from pdp.replaying.court import Bench, Court
    from pdp.replaying.grouping import Group, Share
    from pdp.replaying.reading import LogReader

_encode: Final = msgspec.json.Encoder().encode


@dataclass
class Progress:
    """What a caller may look at, and say, while it runs."""

    done: Callable[[int], None] = lambda _: None  # records, since the last time
    stop: Callable[[], bool] = lambda: False


class _Differing(NamedTuple):
    kind: Kind
    group: Group


class Replay:
    """One run. `draft`: judge everything by this bundle, whatever was recorded under which; else each by its own.

    `out` takes a JSON line for each decision that differs; it must be able to seek.
    """

    def __init__(
        self,
        reader: LogReader,
        court: Court,
        *,
        draft: Bundle | None = None,
        out: BinaryIO | None = None,
        most_ids: int = 10,
    ) -> None:
        self._reader = reader
        self._court = court
        self._draft = draft
        self._out = out
        self._most_ids = most_ids
        self._missing: dict[tuple[str, str | None], str] = {}

    async def run(self, progress: Progress) -> Report:
        """Raises NotReadyError where the log cannot be read, EngineError where an engine is not there; BundleError for
        a draft that does not load.
        """
        began = time.monotonic()
        total = await asyncio.to_thread(self._reader.count)
        limits = self._reader.limits
        grouper = Grouper(memory_mb=limits.memory_mb, threads=limits.threads)
        batches = self._reader.batches(total)
        try:
            tally, whole = await self._all(batches, grouper, progress)
        finally:
            batches.close()
            grouper.close()
        against = None if self._draft is None else self._draft.revision
        seconds = time.monotonic() - began
        return Report(
            tally, self._court.names, self._court.evaluated, seconds, whole, against, self._reader.sample, total
        )

    async def _all(
        self, batches: Generator[pa.Table | Mark], grouper: Grouper, progress: Progress
    ) -> tuple[Tally, bool]:
        tally, unit = Tally(self._most_ids), Tally(self._most_ids)
        written = self._at()
        ahead = asyncio.create_task(asyncio.to_thread(next, batches, None))
        try:
            while (found := await ahead) is not None:
                if progress.stop():
                    break
                ahead = asyncio.create_task(asyncio.to_thread(next, batches, None))
                match found:
                    case Mark.DONE:
                        tally.take(unit)
                        progress.done(unit.records)
                        unit, written = Tally(self._most_ids), self._at()
                    case Mark.LOST:
                        unit = Tally(self._most_ids)
                        self._back_to(written)
                    case batch:
                        await self._batch(batch, grouper, unit)
        finally:
            await asyncio.gather(ahead, return_exceptions=True)  # a generator cannot be closed while a thread is in it
        whole = not progress.stop()
        if not whole:
            tally.take(unit)  # what this unit gave so far was read once, and nothing will be read again
        return tally, whole

    async def _batch(self, batch: pa.Table, grouper: Grouper, unit: Tally) -> None:
        unit.records += batch.num_rows
        with grouper.over(batch):
            for share in await asyncio.to_thread(grouper.shares):
                if share.why != "judged":
                    unit.apart[share.why] += share.decisions
                    continue
                bench = await self._bench(share, unit)
                if bench is None:
                    continue
                columns = bench.columns
                groups = await asyncio.to_thread(grouper.groups, columns, share)
                await self._judge(bench, batch, groups)
                self._compare(bench, batch, groups, share, unit)
                bench.forget()

    async def _bench(self, share: Share, unit: Tally) -> Bench | None:
        """Who judges this share; None, and counted, where nobody can."""
        if self._draft is not None:
            if share.profile != self._draft.profile:
                unit.apart["other_profile"] += share.decisions
                return None
            return await self._court.bench(self._draft)
        assert share.digest is not None
        which = share.digest, share.former
        if which not in self._missing:
            try:
                bench = await self._court.bench(share.digest, share.held)
            except (BundleError, NotReadyError, RecordDamagedError) as fault:
                self._missing[which] = fault.message
            else:
                if (share.profile, share.revision) == (bench.bundle.profile, bench.bundle.revision):
                    return bench
                unit.apart["wrong_policy"] += share.decisions
                return None
        unit.missing[share.digest, share.revision, self._missing[which]] += share.decisions
        return None

    async def _judge(self, bench: Bench, batch: pa.Table, groups: Sequence[Group]) -> None:
        """Have every group's verdict known, if its document can be had."""
        new = {group.key: group.first for group in groups if group.key not in bench.known}
        if not new:
            return
        rows = rows_of(complete(batch.take(list(new.values()))))
        documents: dict[bytes, bytes] = {}
        for key, row in zip(new, rows, strict=True):
            with suppress(RecordDamagedError):
                documents[key] = document_of(row)
        await bench.judge(documents)

    def _compare(self, bench: Bench, batch: pa.Table, groups: Sequence[Group], share: Share, unit: Tally) -> None:
        differing: list[_Differing] = []
        digest, revision = bench.bundle.digest, bench.bundle.revision
        for group in groups:
            count, judgement = len(group.rows), bench.known.get(group.key)
            if judgement is None:
                unit.apart["unreadable"] += count
            elif (group.redacted or group.masked) and hides_what_counts(group.redacted, group.masked, bench.footprint):
                unit.apart["hidden"] += count
            elif all(said.answer == group.recorded for said in judgement):
                unit.judged(digest, revision, count, equal=True)
            elif group.failed:
                unit.failed[judgement[0].answer.outcome] += count
            elif any(said.lost for said in judgement):
                unit.lost += count
            else:
                unit.judged(digest, revision, count, equal=False)
                recorded_under = share.digest or digest
                differing.append(_Differing(Kind(recorded_under, share.revision, group.recorded, judgement), group))
        if differing:
            self._tell(batch, differing, unit)

    def _tell(self, batch: pa.Table, differing: Sequence[_Differing], unit: Tally) -> None:
        """Only here is a decision looked at by itself."""
        columns = batch.select(["id", "resource", "device_class", "subject_departments"])
        rows = columns.take(pa.concat_arrays([one.group.rows for one in differing])).to_pylist()
        at = 0
        for kind, group in differing:
            own = rows[at : at + len(group.rows)]
            at += len(own)
            unit.differs(kind, len(own), [row["id"] for row in own if row["id"] is not None])
            places = [_place(row) for row in own]
            unit.spread.update((kind.transition, *place) for found in places for place in found.items())
            if self._out is not None:
                for row, place in zip(own, places, strict=True):
                    self._out.write(_line(row["id"], kind, place, self._court.names))

    def _at(self) -> int:
        return 0 if self._out is None else self._out.tell()

    def _back_to(self, at: int) -> None:
        if self._out is not None:
            self._out.seek(at)
            self._out.truncate()


def _place(row: dict[str, Any]) -> dict[str, str]:
    departments = row["subject_departments"]
    found = (departments[0] if departments else None, row["resource"], row["device_class"])
    return {name: value or "-" for name, value in zip(DIMENSIONS, found, strict=True)}


def _line(decision_id: str | None, kind: Kind, place: dict[str, str], engines: Sequence[str]) -> bytes:
    return (
        _encode(
            {
                "id": decision_id,
                "policy_revision": kind.revision,
                "bundle_digest": kind.digest,
                "parts": kind.parts,
                "recorded": kind.recorded.as_json(),
                "recomputed": recomputed_json(engines, kind.judgement),
                **place,
            }
        )
        + b"\n"
    )
