from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest

from pdp.commands.subject_files import write_subject_files


def batch(number: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"subject_id": ["u-0001"], "seq": [number]})


def test_batches_are_written_as_they_come_and_let_go(tmp_path: Path):
    held: list[int] = []

    class Source:
        def __iter__(self):
            for number in range(200):
                held.append(pa.total_allocated_bytes())
                yield pa.RecordBatch.from_pydict({"subject_id": ["u-0001" * 1000] * 10, "seq": [number] * 10})

    assert write_subject_files(tmp_path, Source()) == 2000
    assert max(held) - held[0] < 500_000  # of 12 MB that went through
    lines = (tmp_path / "records.jsonl").read_bytes().splitlines()
    table = (tmp_path / "records.csv").read_bytes().decode("utf-8-sig").splitlines()
    assert (len(lines), len(table)) == (2000, 2001)
    assert (tmp_path / "records.csv").stat().st_mode & 0o777 == 0o600


def test_the_digests_are_those_of_the_files(tmp_path: Path):
    write_subject_files(tmp_path, [batch(1), batch(2)])
    told = dict(reversed(line.split("  ")) for line in (tmp_path / "SHA256SUMS").read_text().splitlines())
    assert told == {
        name: sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("records.jsonl", "records.csv")
    }


def test_an_export_that_is_cut_off_has_no_digests(tmp_path: Path):
    def source():
        yield batch(1)
        raise OSError("the store changes faster than it can be read")

    with pytest.raises(OSError, match="faster"):
        write_subject_files(tmp_path, source())
    assert not (tmp_path / "SHA256SUMS").exists()


def test_no_file_is_written_over(tmp_path: Path):
    (tmp_path / "records.csv").write_bytes(b"kept")
    with pytest.raises(FileExistsError):
        write_subject_files(tmp_path, [batch(1)])
    assert (tmp_path / "records.csv").read_bytes() == b"kept"
