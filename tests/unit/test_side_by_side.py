"""Works in threads: none waits for another, and none is missing without a word."""

from __future__ import annotations

import threading

from pdp.side_by_side import side_by_side

LONG_S = 60.0


def nobody(name: str) -> None:
    raise AssertionError(name)


def test_one_that_hangs_delays_no_other_and_all_end_when_they_are_told() -> None:
    stop, hung, done = threading.Event(), threading.Event(), threading.Event()

    def hangs(_: threading.Event) -> None:
        hung.wait(LONG_S)

    def works(told: threading.Event) -> None:
        done.set()
        told.wait(LONG_S)

    whole = threading.Thread(
        target=side_by_side, args=({"a": hangs, "b": works}, stop), kwargs={"end_s": LONG_S, "failed": nobody}
    )
    whole.start()
    assert done.wait(LONG_S)
    stop.set()
    hung.set()
    whole.join(LONG_S)
    assert not whole.is_alive()


def test_one_that_fails_is_named_and_ends_them_all() -> None:
    stop, ended, failed = threading.Event(), threading.Event(), []

    def fails(_: threading.Event) -> None:
        raise KeyError("x")

    def works(told: threading.Event) -> None:
        if told.wait(LONG_S):
            ended.set()

    side_by_side({"a": fails, "b": works}, stop, end_s=LONG_S, failed=failed.append)
    assert (failed, stop.is_set(), ended.is_set()) == (["a"], True, True)
