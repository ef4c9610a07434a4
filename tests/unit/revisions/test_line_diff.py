"""A difference of two texts: it leads from the one to the other, and is found in bounded work."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.revisions import files as revision_files
from pdp.revisions.files import differences
from pdp.revisions.line_diff import Steps, unified

TEXTS = st.lists(
    st.sampled_from(["a\n", "b\n", "c\n", "\n", "@@ -1 +1 @@\n", "--- a\n", "\x0c\n"]), max_size=30
).flatmap(lambda lines: st.sampled_from(["", "last"]).map(lambda end: "".join(lines) + end))
HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n")


def lines(text: str) -> list[str]:
    *whole, rest = text.split("\n")
    return [f"{line}\n" for line in whole] + ([rest] if rest else [])


def applied(before: str, diff: str) -> str:
    """As `patch` does it, without any mercy."""
    old, rows = lines(before), lines(diff)[2:]
    found: list[str] = []
    at = read = 0
    while read < len(rows):
        hunk = HUNK.fullmatch(rows[read])
        assert hunk is not None, rows[read]
        read += 1
        gone, come = int(hunk[2] or 1), int(hunk[4] or 1)
        start = int(hunk[1]) - (1 if gone else 0)
        found += old[at:start]
        at = start
        assert len(found) + (1 if come else 0) == int(hunk[3])
        while gone or come:
            sign, text = rows[read][0], rows[read][1:]
            read += 1
            if read < len(rows) and rows[read].startswith("\\"):
                text, read = text[:-1], read + 1
            if sign != "+":
                assert old[at] == text
                at, gone = at + 1, gone - 1
            if sign != "-":
                found.append(text)
                come -= 1
    return "".join(found + old[at:])


@given(before=TEXTS, after=TEXTS, steps=st.sampled_from([0, 3, 40, 1_000_000]))
def test_a_difference_leads_from_the_one_text_to_the_other_however_little_work_was_left(
    before: str, after: str, steps: int
) -> None:
    diff, shortest = unified(before, after, "f", Steps(steps))
    assert applied(before, diff) == after if diff else before == after
    assert shortest or steps < 1_000_000


def test_one_changed_line_among_many_is_told_with_three_around_it() -> None:
    before = "".join(f"{n}\n" for n in range(2_000))
    diff, shortest = unified(before, before.replace("\n1000\n", "\nmoved\n"), "f", Steps())
    assert shortest
    assert diff.splitlines() == [
        "--- a/f", "+++ b/f", "@@ -998,7 +998,7 @@", " 997", " 998", " 999", "-1000", "+moved", " 1001", " 1002", " 1003",
    ]  # fmt: skip


def test_texts_whose_lines_repeat_take_no_more_than_the_steps_that_there_are() -> None:
    before = "".join(f"{n % 90}\n" for n in range(60_000))
    after = "".join(f"{(n * 7) % 90}\n" for n in range(60_000))
    steps = Steps()
    files = {name: before for name in "abc"}, {name: after for name in "abc"}
    found = differences(*files)
    assert {one["detail"] for one in found} == {"coarse"}
    assert unified(before, after, "f", steps)[1] is False
    assert applied(before, found[0]["diff"]) == after
    assert steps.left > 0, "one file does not use up the work of all"


def test_what_nobody_would_read_is_left_out_and_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision_files, "MAX_DIFF", 2_000)
    found = differences({}, {"a.md": "x\n" * 5_000, "b.md": "y\n"})
    assert [(one["path"], one["change"], one["detail"], bool(one["diff"])) for one in found] == [
        ("a.md", "added", "left_out", False),
        ("b.md", "added", "full", True),
    ]
