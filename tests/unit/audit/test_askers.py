"""The real processes that ask: one suite, because each takes a second to start."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pdp.audit.askers import Askers
from pdp.audit.opening import ground_of
from pdp.audit.question import Count, Decisions, Export, One, Question, Sql
from pdp.audit.sight import Sight
from pdp.errors import BadRequestError, NotFoundError, NotReadyError, TooManyRequestsError
from pdp.privacy.pseudonym import make_key_file
from pdp.settings import Settings
from tests.unit.audit.world import DAY, SINCE, UNTIL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

ALL = Sight(veiled=False)
FILTERS = {name: [value] for name, value in DAY.items()}
ENDLESS = Sql("SELECT count(*) FROM " + ", ".join(f"decisions d{n}" for n in range(9)), SINCE, UNTIL)


@pytest.fixture
async def askers(tmp_path: Path, ids: list[str]) -> AsyncIterator[Askers]:
    keys = tmp_path / "keys"
    make_key_file(keys)
    ground = msgspec.structs.replace(ground_of(Settings(state_dir=str(tmp_path)), keys), deadline_s=1.0)
    opened = Askers(ground, most=2)
    yield opened
    await opened.close()


async def answer_to(askers: Askers, ask: Any, who: str = "aud") -> bytes:
    async with askers.asking(Question(ask, ALL), who) as answer:
        return await answer.whole()


def processes(askers: Askers) -> list[int]:
    return [asker._process.pid for asker, _ in askers._idle]


async def test_questions_are_answered_by_one_process_until_it_is_not_fit(askers: Askers, ids: list[str]) -> None:
    assert await answer_to(askers, Count(FILTERS)) == b'{"count":24}'
    (first,) = processes(askers)
    assert msgspec.json.decode(await answer_to(askers, Decisions(FILTERS, 3)))["next"]
    with pytest.raises(NotFoundError):
        await answer_to(askers, One("019d4657-007b-7000-8000-0000000fffff"))
    with pytest.raises(BadRequestError):
        await answer_to(askers, Sql("SELECT * FROM nowhere", SINCE, UNTIL))
    assert processes(askers) == [first]  # none of these was its fault

    with pytest.raises(NotReadyError):  # longer than the engine may take; the process goes on
        await answer_to(askers, ENDLESS)
    assert processes(askers) == [first]

    os.kill(first, signal.SIGKILL)  # somebody ends it; the next question has another
    try:
        assert await answer_to(askers, Count(FILTERS)) == b'{"count":24}'
    except NotReadyError:  # it was asked before its end was known
        assert await answer_to(askers, Count(FILTERS)) == b'{"count":24}'
    assert processes(askers) != [first]


async def test_whoever_leaves_an_answer_ends_its_process_and_frees_its_place(askers: Askers) -> None:
    async with askers.asking(Question(Export(FILTERS, "csv"), ALL), "aud") as answer:
        pid = answer._asker._process.pid
        async for piece in answer.pieces():
            assert piece
            break
    assert askers.busy == 0
    assert processes(askers) == []
    await askers.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_more_questions_than_may_be_are_told_to_come_back(askers: Askers) -> None:
    async with (
        askers.asking(Question(Count(FILTERS), ALL), "aud"),
        askers.asking(Question(Export(FILTERS, "jsonl"), ALL), "other") as export,
    ):
        with pytest.raises(NotReadyError, match="2 questions"):
            await answer_to(askers, Count(FILTERS), "third")
        assert (await export.whole()).count(b"\n") == 24
        assert export.tail is not None
        assert export.tail.rows == 24


async def test_whoever_asks_much_leaves_a_place_for_the_others(askers: Askers) -> None:
    async with askers.asking(Question(Export(FILTERS, "csv"), ALL), "aud"):
        with pytest.raises(TooManyRequestsError, match="1 questions under way"):
            await answer_to(askers, Count(FILTERS), "aud")
        assert await answer_to(askers, Count(FILTERS), "other") == b'{"count":24}'
    assert await answer_to(askers, Count(FILTERS), "aud") == b'{"count":24}'
    assert not askers._callers


async def test_a_process_that_cannot_start_is_an_answer_that_cannot_be_had(askers: Askers, tmp_path: Path) -> None:
    broken = Askers(msgspec.structs.replace(askers._ground, keys=str(tmp_path / "none")), most=1)
    with pytest.raises(NotReadyError):
        await answer_to(broken, Count(FILTERS))
    assert broken.busy == 0
    await broken.close()
