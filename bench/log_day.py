"""A day of thirty million decisions in a store, from real records, in minutes: the store's own files and manifest.

Some ten thousand records are decided (`bench.log_records`) and become rows as the compactor makes them; rows are then
drawn from those of the hour, a person as often as Zipf's law says, and given what differs from record to record:
instants, ids, request ids, step times, minutes since the log-in, place in the log. Sorting, files, hourly counts and
entries in the manifest are the store's own functions, so the layout is the product's. What the day cannot do is give
its segments back: their digests are made up. The newest records are real lines in an open segment, a part of them
published as the compactor publishes a tail.
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

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import uuid_utils

from bench.log_records import DAY, HOURS, JST, demonstration, real_records
from pdp.archive.datafile import bounds_of, by_hour, in_order, write_table
from pdp.archive.intake import Intake
from pdp.archive.manifest import StoredFile
from pdp.archive.sealed import SealedSegment
from pdp.archive.store import LocalStore
from pdp.archive.tail import publish_tails
from pdp.declog.disk import PosixDisk
from pdp.declog.layout import Layout, SegmentName, stamp_of
from pdp.declog.record import encode_record, read_record
from pdp.declog.writer import Epoch, SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).resolve().parents[1]
SEED: Final = 20260415
WORKERS: Final = 4
SEGMENT_ROWS: Final = 30_000  # records of 2,260 bytes in 64 MiB
PEOPLE_SKEW: Final = 0.6  # the first of 4,000 people makes one request in seventy
HITS: Final = 0.65  # share of the cache, as `make bench` measures it
_SLICES: Final = len(HOURS) * 60


@dataclass(frozen=True)
class Size:
    """`distinct` records are decided; `files` of `rows_per_file` rows; `fresh` records are not stored yet."""

    files: int
    rows_per_file: int
    distinct: int
    fresh: int

    @property
    def rows(self) -> int:
        return self.files * self.rows_per_file


FULL: Final = Size(30, 1_000_000, 40_000, 9_000)
QUICK: Final = Size(4, 250_000, 5_000, 6_000)
TINY: Final = Size(2, 5_000, 300, 600)


def make_day(place: Path, size: Size, say: Callable[[str], None], processes: int = 2) -> Path:
    """The directory of such a log; as it stands there, where the same code has made it before."""
    mark, log = place / "made-by", place / "log"
    made_by = f"{size} {_digest_of_code()}"
    if mark.exists() and mark.read_text(encoding="utf-8") == made_by:
        return log
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    say(f"deciding {size.distinct:,} requests")
    records = real_records(demonstration(place), ROOT / "policies", size.distinct)
    say(f"{size.files} files of {size.rows_per_file:,} rows")
    Layout(log).make(PosixDisk())
    store = LocalStore(log)
    made_at = DAY + timedelta(days=1)
    with store.held(), _pool(processes, records, size) as pool:
        for number, (file, segments) in enumerate(pool.map(_make_file, [(log, at) for at in range(size.files)])):
            store.manifest.add(file, segments, made_at)
            store.manifest.ndjson_removed([str(segment.name) for segment in segments], made_at)
            say(f"{number + 1} of {size.files}: {file.bytes / file.records:.1f} bytes a record")
    _add_tail(store, records, size.fresh)
    mark.write_text(made_by, encoding="utf-8")
    return log


def _digest_of_code() -> str:
    files = [Path(__file__), ROOT / "bench" / "log_records.py", *ROOT.glob("policies/**/*.rego")]
    files += [ROOT / "pdp" / "archive" / f"{name}.py" for name in ("schema", "datafile")]
    return sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()


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
        count = size.rows_per_file
        times = _instants(at * count, count, size.rows, chance)
        picked = self._drawn((times - _micros(DAY)) // 3_600_000_000, chance)
        table = self._table.take(pa.array(picked))
        worker = np.arange(count) % WORKERS
        seqs = at * (count // WORKERS) + np.arange(count) // WORKERS + 1
        names, segments = _segments(times, worker, seqs, at)
        own = self._own_values(picked, times, chance)
        own |= {"segment": names, "seq": pa.array(seqs)}
        for name, column in own.items():
            index = table.schema.get_field_index(name)
            table = table.set_column(index, table.schema.field(name), column)
        return table, segments

    def _drawn(self, hours: np.ndarray, chance: np.random.Generator) -> np.ndarray:
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
    times: np.ndarray, worker: np.ndarray, seqs: np.ndarray, at: int
) -> tuple[pa.DictionaryArray, list[SegmentName]]:
    first = seqs.min()
    number = ((seqs - first) // SEGMENT_ROWS).astype(np.int64)
    per_worker = int(number.max()) + 1
    index = worker * per_worker + number
    epoch = stamp_of(DAY - timedelta(hours=1))
    names = []
    for place in range(WORKERS * per_worker):
        created = datetime.fromtimestamp(int(times[index == place][0]) / 1e6, UTC)
        sequence = at * per_worker + place % per_worker + 1
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


# -- the newest records --------------------------------------------------------------------------------


def _add_tail(store: LocalStore, records: list[bytes], count: int) -> None:
    """Real lines in an open segment; the last tenth is not published either."""
    end = DAY + timedelta(days=1)
    writer = SegmentWriter(
        store.layout,
        Epoch("node-1", "w0", stamp_of(end)),
        None,
        durability="process",
        max_segment_bytes=1 << 30,
        clock=lambda: end,
        disk=PosixDisk(),
    )
    writer.open()
    published = count * 9 // 10
    fresh = [_fresh(records[at % len(records)], end + timedelta(milliseconds=at)) for at in range(count)]
    writer.commit(fresh[:published])
    with store.held():
        publish_tails(store.layout, store.place, store.layout.names(), store.disk)
    writer.commit(fresh[published:])
    writer.sync()  # and it stays open, as that of a running worker is


def _fresh(record: bytes, now: datetime) -> bytes:
    text = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    new_id = str(uuid_utils.uuid7(nanoseconds=int(now.timestamp() * 1e6) * 1_000))
    return encode_record(msgspec.structs.replace(read_record(record), id=new_id, time=text, now=text))


__all__ = ["DAY", "FULL", "JST", "QUICK", "TINY", "Size", "make_day"]
