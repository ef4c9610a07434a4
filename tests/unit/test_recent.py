from __future__ import annotations

from pdp.recent import MOVES_EACH, Recent, Recurring


def test_what_is_often_looked_up_stays_and_what_was_kept_first_goes() -> None:
    held: Recent[str, int] = Recent(2)
    held.keep("a", 1)
    held.keep("b", 2)
    assert [held.get("a") for _ in range(MOVES_EACH)] == [1] * MOVES_EACH
    held.keep("c", 3)
    assert (held.get("a"), held.get("b"), held.get("c"), len(held)) == (1, None, 3, 2)
    held.keep("a", 4)
    held.keep("d", 5)
    assert (held.get("a"), held.get("c"), len(held)) == (4, None, 2)
    held.clear()
    assert (held.get("a"), len(held)) == (None, 0)


def test_what_comes_once_is_not_kept_and_pushes_nothing_out() -> None:
    held: Recurring[str, int] = Recurring(2)
    for key, value in (("a", 1), ("b", 2)):
        held.keep(key, value)
        assert held.get(key) is None
        held.keep(key, value)
    for number in range(100):
        held.keep(f"once-{number}", number)
    assert [held.get(key) for key in ("a", "b", "once-7")] == [1, 2, None]
    assert len(held) == 2
    for _ in range(2):
        held.keep("c", 3)
    assert [held.get(key) for key in ("a", "b", "c")] == [None, 2, 3]
