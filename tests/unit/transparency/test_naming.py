from __future__ import annotations

from pathlib import Path

import pytest

from pdp.declog.layout import Layout
from pdp.declog.line import GENESIS, frame, parse
from pdp.declog.verify import Finding
from pdp.transparency.inspection import inspect
from pdp.transparency.naming import Named, named
from tests.unit.declog.logs import ids, sealed_segment
from tests.unit.transparency.notaries import notary_at


def first(root: Path) -> Named | None:
    found = (record for _, record in named(Layout(root), inspect(Layout(root)).findings) if record is not None)
    return next(found, None)


@pytest.mark.parametrize(
    ("change", "what", "seq"),
    [
        (lambda lines: [*lines[:2], lines[2].replace(b'""', b'"x"'), *lines[3:]], "altered", 2),
        (lambda lines: [*lines[:2], b"junk\n", *lines[3:]], "altered", 2),
        (lambda lines: lines[:2] + lines[3:], "missing", 2),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], "doubled", 2),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "missing", 2),
    ],
)
def test_the_first_record_that_is_not_as_it_was_is_named(tmp_path: Path, change, what: str, seq: int):
    path = sealed_segment(tmp_path, 5)
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    found = first(tmp_path)
    assert found is not None
    assert (found.what, found.seq) == (what, seq)
    assert found.id in ("", ids(5)[seq - 1])


def test_a_skilled_forger_is_named_by_the_first_record_of_the_signed_range(tmp_path: Path):
    path = sealed_segment(tmp_path, 5)
    notary_at(tmp_path).turn()
    chain, forged = GENESIS, []
    for raw in path.read_bytes().splitlines(keepends=True):
        line = parse(raw)
        assert line is not None
        row, chain = frame(chain, line.kind, line.seq, line.body.replace(b'"note":""', b'"note":"x"'))
        forged.append(row)
    path.write_bytes(b"".join(forged))
    assert first(tmp_path) == Named("altered", 1, ids(1)[0])


def test_what_is_about_no_record_names_none(tmp_path: Path):
    findings = [Finding("x.parquet", "altered", 1), Finding("local.gone", "damaged_line", 1)]
    assert [record for _, record in named(Layout(tmp_path), findings)] == [None, None]
