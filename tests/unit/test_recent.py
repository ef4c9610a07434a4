from __future__ import annotations

from pdp.recent import Recent


def test_what_was_used_last_stays_and_what_was_not_goes() -> None:
    held: Recent[str, int] = Recent(2)
    held.keep("a", 1)
    held.keep("b", 2)
    assert held.get("a") == 1
    held.keep("c", 3)
    assert (held.get("a"), held.get("b"), held.get("c"), len(held)) == (1, None, 3, 2)
    held.keep("a", 4)
    assert (held.get("a"), len(held)) == (4, 2)
    held.clear()
    assert (held.get("a"), len(held)) == (None, 0)
