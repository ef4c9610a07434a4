"""The level in this process: bounded, what was put in last stays, and nothing lives beyond its end."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.cache.entry import Entry
from pdp.cache.local import LocalLevel
from pdp.model.decision import Outcome, Verdict

NOW = datetime(2023, 8, 1, 1, tzinfo=UTC)
STEP = timedelta(microseconds=1)
END = NOW + timedelta(minutes=5)


def entry(reason: str = "OK", until: datetime = END) -> Entry:
    return Entry(Verdict(Outcome.ALLOW, (reason,)), until)


def test_an_entry_is_there_until_its_end_and_not_at_it() -> None:
    level = LocalLevel(2)
    level.put(b"a", entry())
    assert level.get(b"a", END - STEP) == entry()
    assert level.get(b"a", END) is None
    assert len(level) == 0, "what has ended takes no room"
    assert level.evicted == 0, "it went because it had ended"


def test_what_has_ended_does_not_come_back_when_the_clock_goes_back() -> None:
    level = LocalLevel(2)
    level.put(b"a", entry())
    assert level.get(b"a", END) is None
    assert level.get(b"a", NOW) is None


def test_the_one_that_was_put_in_longest_ago_goes_first() -> None:
    level = LocalLevel(2)
    level.put(b"a", entry("A"))
    level.put(b"b", entry("B"))
    assert level.get(b"a", NOW) == entry("A")
    level.put(b"c", entry("C"))
    assert [level.get(key, NOW) is not None for key in (b"a", b"b", b"c")] == [False, True, True]
    assert (len(level), level.evicted) == (2, 1)


def test_the_same_key_again_takes_no_further_room_and_is_the_newer_one() -> None:
    level = LocalLevel(2)
    level.put(b"a", entry("A"))
    level.put(b"b", entry("B"))
    level.put(b"a", entry("A2"))
    assert (len(level), level.evicted) == (2, 0)
    level.put(b"c", entry("C"))
    assert (level.get(b"a", NOW), level.get(b"b", NOW)) == (entry("A2"), None)


def test_a_level_of_no_entries_holds_nothing() -> None:
    level = LocalLevel(0)
    level.put(b"a", entry())
    assert (level.get(b"a", NOW), len(level), level.evicted) == (None, 0, 0)


@pytest.mark.parametrize("most", [1, 3])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("gp"), st.sampled_from(b"abcdef"), st.integers(0, 6), st.integers(0, 6)), max_size=60
    )
)
def test_it_does_what_an_ordered_list_would(most: int, steps: list[tuple[str, int, int, int]]) -> None:
    level = LocalLevel(most)
    model: OrderedDict[bytes, Entry] = OrderedDict()
    evicted = 0
    for number, (what, letter, at, until) in enumerate(steps):
        key, now = bytes([letter]), NOW + at * STEP
        if what == "p":
            made = entry(str(number), NOW + until * STEP)
            level.put(key, made)
            model.pop(key, None)
            model[key] = made
            if len(model) > most:
                model.popitem(last=False)
                evicted += 1
            continue
        expected = model.get(key)
        if expected is not None and now >= expected.until:
            del model[key]
            expected = None
        assert level.get(key, now) == expected
    assert (len(level), level.evicted) == (len(model), evicted)
    assert len(level) <= most
