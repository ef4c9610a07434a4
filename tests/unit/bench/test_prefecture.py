"""The stream of questions: the same for the same arguments, skewed, and with all kinds of answers in it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from bench.prefecture import Stream, stream_of
from pdp.directory.demo import demonstration
from pdp.model.directory import Snapshot

NOW = datetime(2026, 4, 21, 1, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return demonstration(NOW).snapshot(1)


@pytest.fixture(scope="module")
def stream(snapshot: Snapshot) -> Stream:
    return stream_of(snapshot, NOW, 3_000)


def test_the_same_arguments_give_the_same_stream(snapshot: Snapshot, stream: Stream) -> None:
    assert stream_of(snapshot, NOW, 3_000) == stream
    assert stream_of(snapshot, NOW, 3_000, seed=1) != stream


def test_few_people_ask_much_and_many_ask_little(stream: Stream) -> None:
    counts = [count for _, count in Counter(question.session.user for question in stream.questions).most_common()]
    assert counts[0] > 100
    assert counts[len(counts) // 2] <= 2
    assert 1_000 < stream.distinct < 3_000


def test_zones_underlays_log_ins_and_systems_vary(stream: Stream) -> None:
    questions = stream.questions
    assert len({question.session.place for question in questions}) >= 6
    assert len({question.session.auth_time for question in questions}) > 500
    assert len({question.resource for question in questions}) > 15
    assert all(question.session.auth_time < NOW.timestamp() for question in questions)


def test_a_boxcar_holds_the_questions_of_the_stream_in_their_order(stream: Stream) -> None:
    boxcars = [json.loads(body)["evaluations"] for body in stream.boxcars(100, 40)]
    assert [len(items) for items in boxcars] == [100] * 40
    asked = [item for items in boxcars for item in items]
    assert asked[:3_000] == [question.members() for question in stream.questions]
    assert asked[3_000:] == asked[:1_000]
