from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence

import pytest

from pdp.active_policy import ActivePolicy
from pdp.bundle.bundle import Bundle, make_bundle
from pdp.bundle.footprint import WHOLE, Footprint
from pdp.cache.key import KeyMaker
from pdp.commands.lines import MAX_LINE_BYTES, Fault, LineEvaluator, Splitter, chunks_of, read_question
from pdp.errors import BadRequestError, EngineError
from tests.oracle.documents import healthy

pytestmark = pytest.mark.anyio

LINE = json.dumps(healthy()).encode()


def bundle_of(profile: str) -> Bundle:
    return make_bundle(
        manifest={"revision": "1", "metadata": {"profile": profile, "entrypoint": "x/decision"}},
        modules={"x.rego": REASONED if profile == "zta" else "package x\n\ndecision := true\n"},
        data={},
    )


REASONED = """package x

# METADATA
# custom:
#   code: OK
#   group: ok
#   fix: none
#   user: {ja: はい, en: yes}
#   admin: {ja: はい, en: yes}
decision := {"outcome": "allow", "reasons": ["OK"], "obligations": {}}
"""


class Scripted:
    """An `Engine` that answers each document as it is told, and remembers what it was asked."""

    name = "scripted"

    def __init__(self, answer: bytes | EngineError) -> None:
        self._answer = answer
        self.asked: list[bytes] = []

    async def activate(self, bundle: Bundle) -> None: ...

    async def evaluate(self, documents: Sequence[bytes]) -> list[bytes | EngineError]:
        self.asked += documents
        return [self._answer for _ in documents]

    async def close(self) -> None: ...


ALLOW = b'{"outcome":"allow","reasons":["OK"],"obligations":{}}'
BAD = b'{"outcome":"deny","reasons":["BAD_INPUT"],"obligations":{}}'


async def evaluated(
    chunks: Sequence[bytes], engine: Scripted, profile: str = "zta"
) -> tuple[list[bytes], list[Fault], int]:
    async def given() -> AsyncIterator[bytes]:
        for chunk in (*chunks, b""):
            yield chunk

    out: list[bytes] = []
    faults: list[Fault] = []
    lines = LineEvaluator(engine, ActivePolicy(bundle_of(profile), None), on_fault=faults.append)
    await lines.run(given(), out.append)
    return b"".join(out).split(b"\n")[:-1], faults, lines.unanswered


async def test_one_line_comes_out_for_each_that_went_in_and_in_its_order():
    chunks = [LINE + b"\nnot json\n" + LINE + b"\n", b"\n" + LINE]
    out, faults, unanswered = await evaluated(chunks, Scripted(ALLOW))
    assert out == [ALLOW, BAD, ALLOW, BAD, ALLOW]
    assert [fault.number for fault in faults] == [2, 4]
    assert unanswered == 0


async def test_a_blank_line_is_bad_input_so_that_lines_stay_aligned():
    out, faults, _ = await evaluated([b"\n  \n"], Scripted(ALLOW))
    assert out == [BAD, BAD]
    assert [fault.number for fault in faults] == [1, 2]


async def test_the_newline_at_the_very_end_is_no_line():
    out, _, _ = await evaluated([LINE + b"\n"], Scripted(ALLOW))
    assert out == [ALLOW]
    assert (await evaluated([], Scripted(ALLOW)))[0] == []


async def test_an_engine_without_a_verdict_is_an_evaluation_error_and_is_counted():
    out, _, unanswered = await evaluated([LINE + b"\n" + LINE], Scripted(EngineError("it died")))
    assert out == [b'{"outcome":"deny","reasons":["EVALUATION_ERROR"],"obligations":{}}'] * 2
    assert unanswered == 2


@pytest.mark.parametrize(
    "answer",
    [
        b'{"outcome":"allow","reasons":["NOBODY_KNOWS"],"obligations":{}}',
        b'{"outcome":"limit","reasons":["OK"],"obligations":{"fly":"on"}}',
        b'{"outcome":"allow","reasons":[],"obligations":{}}',
        b"true",
    ],
)
async def test_an_answer_that_decide_would_refuse_is_refused_here_too(answer):
    out, _, unanswered = await evaluated([LINE], Scripted(answer))
    assert json.loads(out[0])["reasons"] == ["EVALUATION_ERROR"]
    assert unanswered == 1


async def test_a_step_up_names_its_level_and_nothing_else_has_one():
    answer = b'{"outcome":"step_up","reasons":["OK"],"obligations":{},"required_auth_level":3}'
    out, _, _ = await evaluated([LINE], Scripted(answer))
    assert out == [answer]


async def test_documents_of_a_plain_bundle_pass_as_they_are():
    engine = Scripted(b"true")
    strange = b'{ "subject" : {"id": "u-1"}, "n": 1.50 }'
    out, _, _ = await evaluated([strange + b"\n{}"], engine, "plain")
    assert engine.asked == [strange, b"{}"]
    assert [json.loads(line) for line in out] == [{"outcome": "allow", "reasons": [], "obligations": {}}] * 2


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace(b'"schema"', b'"schema": "pdp.input/v1", "schema"', 1),  # a name twice
        LINE.replace(b'"staff"', b'"wizard"', 1),
        LINE.replace(b'"shared": false, ', b"", 1),
        LINE[:-1] + b', "more": 1}',
        LINE + LINE,
        b"\xef\xbb\xbf" + LINE,
        b"[" * 100_000,
        b"null",
        LINE.replace(b"{", b'{"x": NaN, ', 1),
    ],
    ids=["twice", "unlisted", "missing", "extra", "two values", "bom", "deep", "null", "nan"],
)
def test_what_is_no_document_is_refused(line):
    with pytest.raises(BadRequestError):
        read_question(line, KeyMaker(bundle_of("zta"), WHOLE, "scripted"))


def test_a_name_that_stands_twice_is_refused_in_a_plain_document_too():
    with pytest.raises(BadRequestError, match="twice"):
        read_question(b'{"a": 1, "a": 2}', None)


def test_a_line_beyond_the_limit_is_not_held_and_does_not_shift_the_others():
    splitter = Splitter()
    half = b"x" * (MAX_LINE_BYTES // 2 + 1)
    assert splitter.feed(b"a\n" + half) == [b"a"]
    assert splitter.feed(half) == []
    assert splitter.feed(half + half) == []
    assert splitter.feed(half + b"\nb\nc") == [None, b"b"]
    assert splitter.feed(b"") == [b"c"]
    assert splitter.feed(b"") == []


def test_a_line_beyond_the_limit_at_the_end_counts_as_one():
    splitter = Splitter()
    assert splitter.feed(b"x" * (MAX_LINE_BYTES + 1)) == []
    assert splitter.feed(b"") == [None]


async def test_an_answer_does_not_wait_for_the_next_line():
    """A program that writes a line and waits for its answer must get it."""
    reading, writing = os.pipe()
    answers_in, answers_out = os.pipe()
    os.write(writing, LINE + b"\n")
    asked = 0

    def write(lines: bytes) -> None:
        nonlocal asked
        os.write(answers_out, lines)
        asked += 1
        if asked == 1:
            os.write(writing, LINE + b"\n")  # only after the first answer came
        else:
            os.close(writing)

    await LineEvaluator(Scripted(ALLOW), ActivePolicy(bundle_of("zta"), None)).run(chunks_of(reading), write)
    assert os.read(answers_in, 1000) == ALLOW + b"\n" + ALLOW + b"\n"
    for descriptor in (reading, answers_in, answers_out):
        os.close(descriptor)


async def test_a_reader_that_went_away_ends_the_command():
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield LINE + b"\n"

    def gone(_: bytes) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await LineEvaluator(Scripted(ALLOW), ActivePolicy(bundle_of("zta"), None)).run(endless(), gone)


async def test_an_input_that_cannot_be_read_is_an_error():
    directory = os.open("/", os.O_RDONLY)
    with pytest.raises(IsADirectoryError):
        async for _ in chunks_of(directory):
            pass
    os.close(directory)


async def test_lines_that_the_policy_cannot_tell_apart_are_evaluated_once_also_in_another_batch():
    engine = Scripted(ALLOW)
    other = json.dumps(healthy() | {"action": {"name": "write"}}).encode()
    spaced = json.dumps(healthy(), indent=1).replace("\n", " ").encode()
    out, _, _ = await evaluated([LINE + b"\n" + spaced + b"\n" + other + b"\n", LINE + b"\n", other], engine)
    assert out == [ALLOW] * 5
    assert len(engine.asked) == 2


async def test_a_line_outside_of_what_the_policy_reads_is_no_other_question():
    engine = Scripted(ALLOW)
    policy = ActivePolicy(bundle_of("zta"), None, Footprint((("action", "name"),)))
    lines = LineEvaluator(engine, policy)
    document = healthy()
    document["subject"]["id"] = "somebody-else"

    async def given() -> AsyncIterator[bytes]:
        yield LINE + b"\n" + json.dumps(document).encode()
        yield b""

    out: list[bytes] = []
    await lines.run(given(), out.append)
    assert (b"".join(out), len(engine.asked)) == ((ALLOW + b"\n") * 2, 1)


async def test_an_engine_that_fails_once_is_asked_again_for_the_next_line_like_it():
    class Recovering(Scripted):
        async def evaluate(self, documents: Sequence[bytes]) -> list[bytes | EngineError]:
            answers = await super().evaluate(documents)
            self._answer = ALLOW
            return answers

    answered = asyncio.Event()
    out: list[bytes] = []

    def write(line: bytes) -> None:
        out.append(line)
        answered.set()

    async def given() -> AsyncIterator[bytes]:
        yield LINE + b"\n"
        await answered.wait()
        yield LINE
        yield b""

    engine = Recovering(EngineError("it died"))
    lines = LineEvaluator(engine, ActivePolicy(bundle_of("zta"), None))
    await lines.run(given(), write)
    assert [json.loads(line)["outcome"] for line in out] == ["deny", "allow"]
    assert (len(engine.asked), lines.unanswered) == (2, 1)


async def test_texts_of_a_plain_bundle_that_differ_are_two_questions_because_engines_keep_a_number_as_it_is_written():
    engine = Scripted(b"true")
    await evaluated([b'{"n":1.0}\n{"n":1.00}\n{"n":1.0}'], engine, "plain")
    assert engine.asked == [b'{"n":1.0}', b'{"n":1.00}']


async def test_without_a_cache_every_line_is_evaluated():
    engine = Scripted(ALLOW)
    lines = LineEvaluator(engine, ActivePolicy(bundle_of("zta"), None), distinct=False)

    async def given() -> AsyncIterator[bytes]:
        yield LINE + b"\n" + LINE
        yield b""

    await lines.run(given(), lambda _: None)
    assert len(engine.asked) == 2
