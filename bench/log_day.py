"""A day of thirty million decisions in a store, from real records, in minutes: the store's own files and manifest.

Some ten thousand records are decided (`bench.log_records`) and become rows as the compactor makes them; rows are then
drawn from those of the hour, a person as often as Zipf's law says, and given what differs from record to record:
instants, ids, request ids, step times, minutes since the log-in, place in the log. Sorting, files, hourly counts and
entries in the manifest are the store's own functions, so the layout is the product's. What those files cannot do is
give their segments back: their digests are made up. The last records of the day are real lines of real segments, stored
by the compactor; the newest of all are real lines in an open segment, a part of them published as a tail.
"""

from __future__ import annotations

import secrets
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.log_lines import SEGMENT_ROWS, at_another_instant, write_segments, writer_of
from bench.log_records import DAY, HOURS, JST, demonstration, real_records
from pdp.archive.arrow_schema import STORED
from pdp.archive.datafile import bounds_of, by_hour, in_order, write_table
from pdp.archive.entries import StoredFile
from pdp.archive.intake import Intake
from pdp.archive.sealed import SealedSegment
from pdp.archive.store import LocalStore
from pdp.archive.tail import publish_tails
from pdp.declog.disk import PosixDisk
from pdp.declog.layout import Layout, SegmentName, stamp_of
from pdp.declog.record import read_record
from pdp.declog.writer import Epoch

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).resolve().parents[1]
SEED: Final = 20260415
WORKERS: Final = 4
PEOPLE_SKEW: Final = 0.6  # the first of 4,000 people makes one request in seventy
HITS: Final = 0.65  # share of the cache, as `make bench` measures it
VERSION: Final = 2  # raise it where the rows would be others: a day that was made before is made anew then
_MADE_AT: Final = DAY + timedelta(days=1)
_SLICES: Final = len(HOURS) * 60


@dataclass(frozen=True)
class Size:
    """`distinct` records are decided; `files` of `rows_per_file` rows; `fresh` records are not stored yet.

    Of the last file's rows `compacted` are made of lines by the compactor, and stand in a file of their own.
    """

    files: int
    rows_per_file: int
    distinct: int
    compacted: int
    fresh: int

    @property
    def rows(self) -> int:
        return self.files * self.rows_per_file

    def rows_of(self, at: int) -> int:
        """Of the file with this number that is made without lines."""
        return self.rows_per_file - (self.compacted if at == self.files - 1 else 0)


FULL: Final = Size(30, 1_000_000, 40_000, 250_000, 9_000)
QUICK: Final = Size(4, 250_000, 5_000, 30_000, 6_000)
REPLAYED: Final = Size(4, 500_000, 20_000, 0, 3_000)  # one record in a hundred is a decision of its own
TINY: Final = Size(2, 5_000, 300, 1_000, 600)


def make_day(place: Path, size: Size, say: Callable[[str], None], processes: int = 2) -> Path:
    """The directory of such a log, as it stands there; what is not there yet is made, file by file."""
    begun, mark, log = place / "begun", place / "made-by", place / "log"
    made_by = f"{size} {VERSION} {sha256(repr(STORED.names).encode()).hexdigest()}"
    if _says(mark, made_by):
        return log
    if not _says(begun, made_by):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        begun.write_text(made_by, encoding="utf-8")
        Layout(log).make(PosixDisk())
    say(f"deciding {size.distinct:,} requests")
    records = real_records(demonstration(), ROOT / "policies", size.distinct)
    store = LocalStore(log)
    with _pool(processes, records, size) as pool:
        with store.held():
            _add_files(store, pool, size, say)
        shutil.rmtree(store.layout.segments)
        store.layout.make(PosixDisk())
        if len(store.manifest.files()) == size.files:
            say(f"compacting {size.compacted:,} lines")
            pool.submit(_write_lines, (log, size.compacted)).result()
            with store.held():
                _compact(store, _MADE_AT)
    _add_tail(store, records, size.fresh)
    mark.write_text(made_by, encoding="utf-8")
    return log


def _says(mark: Path, text: str) -> bool:
    return mark.exists() and mark.read_text(encoding="utf-8") == text


def _add_files(store: LocalStore, pool: ProcessPoolExecutor, size: Size, say: Callable[[str], None]) -> None:
    there = len(store.manifest.files())
    asked = [(store.place.log, at) for at in range(there, size.files)]
    for number, (file, segments) in enumerate(pool.map(_make_file, asked), there + 1):
        store.manifest.add(file, segments, _MADE_AT)
        store.manifest.ndjson_removed([str(segment.name) for segment in segments], _MADE_AT)
        say(f"{number} of {size.files}: {file.bytes / file.records:.1f} bytes a record")


def _pool(processes: int, records: list[bytes], size: Size) -> ProcessPoolExecutor:
    # Spawned: pyarrow's threads do not survive a fork.
    return ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin, initargs=(records, size))


# -- one file, in a process of its own -----------------------------------------------------------------

_hold: dict[str, Any] = {}


def _begin(records: list[bytes], size: Size) -> None:
    intake = Intake("")
    for record in records:
        intake.add(0, record)
    _hold["base"] = Base(intake.table())
    _hold["records"] = records
    _hold["size"] = size


def _make_file(asked: tuple[Path, int]) -> tuple[StoredFile, list[SealedSegment]]:
    log, at = asked
    size = cast("Size", _hold["size"])
    base = cast("Base", _hold["base"])
    place = LocalStore(log).place
    table, names = base.rows_of_file(at, size)
    table = in_order([table])
    name = f"{stamp_of(names[0].created_at)}-{secrets.token_hex(8)}.parquet"
    length, digest = write_table(PosixDisk(), place.rows / name, table)
    _, hourly = write_table(PosixDisk(), place.hourly / name, by_hour(table))
    return StoredFile(name, "hot", "", table.num_rows, length, digest, hourly, *cast("Any", bounds_of(table))), [
        _segment(segment, table) for segment in names
    ]


def _segment(name: SegmentName, table: pa.Table) -> SealedSegment:
    seqs = pc.min_max(table.filter(pc.equal(table["segment"].cast(pa.string()), str(name)))["seq"]).as_py()
    count = seqs["max"] - seqs["min"] + 1
    made_up = sha256(str(name).encode()).hexdigest()
    return SealedSegment(name, made_up, count * 2_260, count, made_up, seqs["min"], seqs["max"], True, b"{}", b"{}")


class Base:
    """The decided records as a table, and how rows are drawn from it."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.unify_dictionaries().combine_chunks()
        self._now_us = _numbers(self._table["now"])
        self._hours = (self._now_us - _micros(DAY)) // 3_600_000_000

    @cached_property
    def _weights(self) -> np.ndarray:
        people = np.asarray(self._table["person"].combine_chunks().indices)
        counts = np.bincount(people)
        ranks = np.empty(len(counts))
        ranks[np.argsort(-counts, kind="stable")] = np.arange(1, len(counts) + 1)
        shares: np.ndarray = ranks[people] ** -PEOPLE_SKEW / counts[people]
        return shares

    def rows_of_file(self, at: int, size: Size) -> tuple[pa.Table, list[SegmentName]]:
        """The rows of one file, in the order of writing, and the segments that they are in."""
        chance = np.random.default_rng([SEED, at])
        count, before = size.rows_of(at), at * size.rows_per_file
        times = _instants(before, count, size.rows, chance)
        picked = self.drawn((times - _micros(DAY)) // 3_600_000_000, chance)
        table = self._table.take(pa.array(picked))
        worker = np.arange(count) % WORKERS
        seqs = before // WORKERS + np.arange(count) // WORKERS + 1
        names, segments = _segments(times, worker, seqs, at * -(-size.rows_per_file // WORKERS // SEGMENT_ROWS))
        own = self._own_values(picked, times, chance)
        own |= {"segment": names, "seq": pa.array(seqs)}
        for name, column in own.items():
            index = table.schema.get_field_index(name)
            table = table.set_column(index, table.schema.field(name), column)
        return table, segments

    def drawn(self, hours: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        picked = np.empty(len(hours), dtype=np.int64)
        known = np.unique(self._hours)
        for hour in np.unique(hours):
            nearest = known[np.argmin(np.abs(known - hour))]
            rows = np.flatnonzero(self._hours == nearest)
            shares = self._weights[rows].cumsum()
            here = hours == hour
            picked[here] = rows[np.searchsorted(shares, chance.random(here.sum()) * shares[-1])]
        return picked

    def _own_values(self, picked: np.ndarray, times: np.ndarray, chance: np.random.Generator) -> dict[str, pa.Array]:
        count = len(picked)
        base_now = self._now_us[picked]
        expires = _numbers(self._table["expires_at"])[picked] - base_now + times
        later = (times // 60_000_000 - base_now // 60_000_000).astype(np.int64)
        age = self._table["subject_auth_age_min"].to_numpy()[picked]
        hit = chance.random(count) < HITS
        steps = {f"step_{step}_us": self._steps(f"step_{step}_us", picked, chance) for step in ("caller", "identity")}
        steps |= {f"step_{step}_us": self._steps(f"step_{step}_us", picked, chance) for step in ("cache", "facts")}
        steps["step_engine_us"] = self._steps("step_engine_us", picked, chance, hit)
        steps["step_obligations_us"] = self._steps("step_obligations_us", picked, chance)
        cache = pa.array(np.where(hit, "hit", "miss")).dictionary_encode()
        return {
            "id": _uuid7s(times, chance),
            "time": pa.array(times, pa.timestamp("us")),
            "now": pa.array(times, pa.timestamp("us")),
            "expires_at": pa.array(expires, pa.timestamp("us"), mask=np.isnan(expires.astype(float))),
            "request_id": _uuid4_texts(count, chance),
            "subject_auth_age_min": pa.array(np.where(np.isnan(age), -1, age + later).astype(np.int64)),
            "cache": cache,
            **steps,
        }

    def _steps(
        self, name: str, picked: np.ndarray, chance: np.random.Generator, absent: np.ndarray | None = None
    ) -> pa.Array:
        """Step times spread around those that were measured."""
        measured = np.nan_to_num(self._table[name].to_numpy().astype(float), nan=500.0)[picked]
        spread = np.maximum(0, measured * chance.lognormal(0, 0.3, len(picked))).astype(np.int64)
        return pa.array(spread, mask=absent)


def _instants(first: int, count: int, total: int, chance: np.random.Generator) -> np.ndarray:
    """Microseconds since 1970 of the records from `first` on, of `total` in the day."""
    shares = np.repeat(np.array(HOURS, dtype=float) / sum(HOURS) / 60, 60)
    edges = np.concatenate([[0.0], shares.cumsum()])
    edges[-1] = 1.0
    at = (first + np.arange(count) + chance.random(count)) / total
    seconds = np.interp(at, edges, np.arange(_SLICES + 1) * 60.0)
    return _micros(DAY) + (np.sort(seconds) * 1e6).astype(np.int64)


def _segments(
    times: np.ndarray, worker: np.ndarray, seqs: np.ndarray, before: int
) -> tuple[pa.DictionaryArray, list[SegmentName]]:
    first = seqs.min()
    number = ((seqs - first) // SEGMENT_ROWS).astype(np.int64)
    per_worker = int(number.max()) + 1
    index = worker * per_worker + number
    epoch = stamp_of(DAY - timedelta(hours=1))
    names = []
    for place in range(WORKERS * per_worker):
        created = datetime.fromtimestamp(int(times[index == place][0]) / 1e6, UTC)
        sequence = before + place % per_worker + 1
        names.append(SegmentName("node-1", f"w{place // per_worker}", epoch, sequence, stamp_of(created)))
    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), [str(name) for name in names]), names


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    numbers: np.ndarray = column.cast(pa.int64()).to_numpy()
    return numbers


def _micros(instant: datetime) -> int:
    return int(instant.timestamp()) * 1_000_000


def _uuid7s(times: np.ndarray, chance: np.random.Generator) -> pa.Array:
    """RFC 9562, section 5.7: 48 bits of milliseconds, the rest at random."""
    raw = chance.integers(0, 256, (len(times), 16), dtype=np.uint8)
    raw[:, :6] = (times // 1_000).astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
    raw[:, 6] = raw[:, 6] & 0x0F | 0x70
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(times), [None, pa.py_buffer(raw.tobytes())])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _uuid4_texts(count: int, chance: np.random.Generator) -> pa.Array:
    digits = np.frombuffer(chance.bytes(count * 16).hex().encode(), dtype=np.uint8).reshape(count, 32)
    text = np.full((count, 36), ord("-"), dtype=np.uint8)
    for start, end, to in ((0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24)):
        text[:, to : to + end - start] = digits[:, start:end]
    text[:, 14] = ord("4")
    offsets = pa.py_buffer((np.arange(count + 1, dtype=np.int32) * 36).tobytes())
    return pa.StringArray.from_buffers(count, offsets, pa.py_buffer(text.tobytes()))


# -- real lines ----------------------------------------------------------------------------------------


def _write_lines(asked: tuple[Path, int]) -> None:
    """The last records of the day as sealed segments, for the compactor."""
    log, count = asked
    size, base, records = (cast("Any", _hold[name]) for name in ("size", "base", "records"))
    chance = np.random.default_rng([SEED, size.files])
    times = _instants(size.rows - count, count, size.rows, chance)
    picked = base.drawn((times - _micros(DAY)) // 3_600_000_000, chance)
    parsed = [read_record(record) for record in records]
    moments = (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(time)) for time in times)
    epoch = Epoch("node-1", f"w{WORKERS}", stamp_of(DAY))
    lines = (at_another_instant(parsed[at], now) for at, now in zip(picked, moments, strict=True))
    write_segments(Layout(log), epoch, lines)


def _compact(store: LocalStore, made_at: datetime) -> None:
    """What waits, as `pdp audit compact` does it: proven, entered, and the segments removed."""
    waiting = store.waiting()
    store.publish(waiting, made_at)
    store.remove_these(waiting, made_at)


def _add_tail(store: LocalStore, records: list[bytes], count: int) -> None:
    """An open segment, of which the last third is not published yet: what a second of the peak writes."""
    end = DAY + timedelta(days=1)
    writer = writer_of(store.layout, Epoch("node-1", "w0", stamp_of(end)))
    writer.open()
    published = count * 2 // 3
    parsed = [read_record(record) for record in records]
    fresh = [at_another_instant(parsed[at % len(parsed)], end + timedelta(milliseconds=at)) for at in range(count)]
    writer.commit(fresh[:published])
    with store.held():
        publish_tails(store.layout, store.place, store.layout.names(), store.disk)
    writer.commit(fresh[published:])
    writer.sync()  # and it stays open, as that of a running worker is


__all__ = ["DAY", "FULL", "JST", "QUICK", "REPLAYED", "TINY", "Size", "make_day"]
