"""The frames between the engine and its child process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.engine.frames import MAX_BODY_BYTES, FrameError, FrameReader, frame

frames = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=40)), max_size=8)


@given(frames, st.lists(st.integers(1, 30), min_size=1))
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(sent, cuts):
    stream = b"".join(frame(*one) for one in sent)
    reader, received, turn = FrameReader(), [], 0
    while stream:
        size = cuts[turn % len(cuts)]
        turn += 1
        received += reader.feed(stream[:size])
        stream = stream[size:]
    assert received == sent


def test_a_frame_longer_than_allowed_is_refused_on_both_sides():
    with pytest.raises(FrameError):
        frame(1, 0, bytes(MAX_BODY_BYTES + 1))
    with pytest.raises(FrameError):
        list(FrameReader().feed((MAX_BODY_BYTES + 1).to_bytes(4, "big") + bytes(5)))
