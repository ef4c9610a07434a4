"""Services that must share nothing on one Redis: with another secret, with another bundle. Whole ones, in one process."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from pdp.bundle.bundle import read_bundle
from pdp.main import compose
from pdp.settings import Settings, load_settings
from tests.fleet import House, house
from tests.steady_stream import Question, questions
from tests.valkey_server import ValkeyServer, valkey_server

pytestmark = [pytest.mark.system, pytest.mark.anyio, pytest.mark.timeout(120)]

BUNDLE = load_settings(environ={}).bundle_path
OURS, THEIRS = "ours", "theirs"
DEADLINE_S = 20.0
HEAD = "sekisho:d1:"
LASTING = '"deny_ttl_seconds": 300, "step_up_ttl_seconds": 300'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> House:
    made = house(tmp_path_factory.mktemp("house"))
    for name in (OURS, THEIRS):
        (made.place / name).write_bytes(name.encode() * 32)
    return made


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped one, but no verdict of it ends while a slow machine is still asking: a step-up's does after 15 s."""
    place = tmp_path_factory.mktemp("older") / "policies"
    shutil.copytree(BUNDLE, place)
    _replace(place / ".manifest", '"deny_ttl_seconds": 60, "step_up_ttl_seconds": 15', LASTING)
    return place


@pytest.fixture(scope="module")
def newer(older: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The next revision: patches may be sixty days old in place of thirty."""
    place = tmp_path_factory.mktemp("newer") / "policies"
    shutil.copytree(older, place)
    _replace(place / "data" / "parameters.yaml", "patch_deny_days: 30", "patch_deny_days: 60")
    return place


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def known(home: House, older: Path) -> list[Question]:
    return questions(home, read_bundle(older))


@pytest.fixture(scope="module")
def known_to_newer(home: House, newer: Path) -> list[Question]:
    return questions(home, read_bundle(newer))


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    with valkey_server() as server:
        yield server


class Asked:
    """One service: every question is put to it once, in order, and answered as it is known to be."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def misses(self, known: Sequence[Question]) -> int:
        """How many of the answers had to be evaluated."""
        missed = 0
        for question in known:
            answer = await self._client.post("/access/v1/evaluation", content=question.body)
            assert answer.status_code == 200, answer.text
            said = answer.json()["context"]
            assert (said["outcome"], tuple(said["reasons"])) == (question.outcome, question.reasons), question.name
            missed += said["cache"] == "miss"
        return missed

    async def metric(self, sample: str) -> float:
        text = (await self._client.get("/metrics")).text
        (value,) = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"sekisho_{sample} ")]
        return float(value)

    async def counts(self, sample: str, value: float) -> None:
        """Metrics follow within a look."""
        with anyio.fail_after(DEADLINE_S):
            while await self.metric(sample) != value:  # noqa: ASYNC110  # it can only be looked at
                await anyio.sleep(0.02)

    async def detail(self, part: str) -> Any:
        checks = (await self._client.get("/readyz")).json()["checks"]
        return {check["name"]: check["detail"] for check in checks}[part]


Open = Callable[..., Awaitable[Asked]]


@pytest.fixture
async def opened(home: House, older: Path, valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens a service that has found its Redis."""
    async with AsyncExitStack() as stack:
        count = 0

        async def open_(*, secret: str, bundle: Path = older) -> Asked:
            nonlocal count
            count += 1
            settings = Settings(
                state_dir=str(tmp_path / str(count)),
                database_url=home.database_url,
                bundle=str(bundle),
                redis_url=valkey.url,
                redis_secret_file=str(home.place / secret),
                redis_deadline_ms=1_000.0,  # nothing here is to be missed for want of time
                directory_poll_s=0.05,
                durability="process",
                decision_table="off",
            )
            service = await stack.enter_async_context(compose(settings))
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app=service.app),
                base_url="http://pdp",
                headers={"Authorization": f"Bearer {home.key}", "Content-Type": "application/json"},
            )
            asked = Asked(await stack.enter_async_context(client))
            with anyio.fail_after(DEADLINE_S):
                while await asked.detail("shared_cache") != "up":  # noqa: ASYNC110  # as above
                    await anyio.sleep(0.02)
            return asked

        yield open_


async def held(valkey: ValkeyServer, count: int) -> None:
    """Until so many verdicts stand in Redis; they are written off the answers' path."""
    with anyio.fail_after(DEADLINE_S):
        while len(list(valkey.control.scan_iter(match=f"{HEAD}*"))) < count:  # noqa: ASYNC110  # as above
            await anyio.sleep(0.02)


async def test_services_with_one_secret_share_every_verdict(
    opened: Open, valkey: ValkeyServer, known: list[Question]
) -> None:
    distinct = await (await opened(secret=OURS)).misses(known)
    assert distinct > len(known) / 2
    await held(valkey, distinct)
    assert await (await opened(secret=OURS)).misses(known) == 0


async def test_services_with_different_secrets_share_nothing_and_hurt_nobody(
    opened: Open, valkey: ValkeyServer, known: list[Question]
) -> None:
    distinct = await (await opened(secret=OURS)).misses(known)
    await held(valkey, distinct)
    theirs = await opened(secret=THEIRS)
    assert await theirs.misses(known) == distinct
    await theirs.counts('redis_reads_total{result="corrupted"}', distinct)
    await theirs.counts('redis_writes_total{result="written"}', distinct)
    ours = await opened(secret=OURS)  # finds theirs in the place of ours
    assert await ours.misses(known) == distinct
    await ours.counts('redis_reads_total{result="corrupted"}', distinct)
    assert await ours.metric("redis_up") == 1


@pytest.mark.parametrize("first", ["older", "newer"])
async def test_services_with_different_bundles_share_nothing(
    opened: Open,
    valkey: ValkeyServer,
    older: Path,
    known: list[Question],
    newer: Path,
    known_to_newer: list[Question],
    first: str,
) -> None:
    assert [q.reasons for q in known] != [q.reasons for q in known_to_newer]
    turns = [(older, known), (newer, known_to_newer)]
    (bundle, asked), (other, then) = turns if first == "older" else turns[::-1]
    distinct = await (await opened(secret=OURS, bundle=bundle)).misses(asked)
    await held(valkey, distinct)
    another = await opened(secret=OURS, bundle=other)
    assert await another.misses(then) == distinct
    await held(valkey, 2 * distinct)
    assert await another.metric('redis_reads_total{result="corrupted"}') == 0
    assert await (await opened(secret=OURS, bundle=bundle)).misses(asked) == 0
