"""Which bundle judges, on which engines, and what each of them answers. What was judged once is remembered."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from pdp.bundle.footprint import WHOLE, Footprint
from pdp.engine.footprint_check import bundle_footprint
from pdp.errors import BadRequestError, EngineDiedError, EngineError, EngineTimeoutError
from pdp.grace import HARD, Opinion, held_over
from pdp.judging import judge_raw
from pdp.model.decision import EVALUATION_ERROR, denied
from pdp.model.input import decode_input
from pdp.replaying.answer import Answer, answer_of
from pdp.replaying.vectors import columns_seen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.replaying.answer import Held

MAX_OPEN: Final = 4  # bundles with running engines: a log changes between two, and seldom back
MAX_REMEMBERED: Final = 500_000  # documents whose answer is known: some 100 MB. Beyond it the oldest are judged again
_LANES: Final = 4  # calls of one engine at a time: the next is there when one ends


class Said(NamedTuple):
    """What one engine said. `fault` is why there was no verdict; `lost`: another try might have given one."""

    answer: Answer
    fault: str | None = None
    lost: bool = False


Judgement = tuple[Said, ...]
"""In the order of the court's engines."""


class Before(NamedTuple):
    """`engines` in the order of the bench's."""

    bundle: Bundle
    engines: Sequence[Engine]
    until: datetime


@dataclass
class Bench:
    """One bundle with its engines ready. `columns`: what it sees of a canonical document; None: all of it.

    `before`: the policy whose permissions went on in a time of warning. Each answer is then that of the two together.
    """

    bundle: Bundle
    footprint: Footprint
    engines: Sequence[Engine]
    before: Before | None = None
    known: OrderedDict[bytes, Judgement] = field(default_factory=OrderedDict)
    judged: int = 0

    @property
    def columns(self) -> tuple[str, ...] | None:
        return None if self.footprint.whole else columns_seen(self.footprint)

    async def judge(self, documents: Mapping[bytes, bytes]) -> None:
        """Have the documents judged by every engine, and remember it under their keys."""
        said = await asyncio.gather(*(self._ask(at, list(documents.values())) for at in range(len(self.engines))))
        self.judged += len(documents)
        for key, judgement in zip(documents, zip(*said, strict=True), strict=True):
            self.known[key] = judgement

    def forget(self) -> None:
        """Keep to the limit. Not between `judge` and the reading of what it gave."""
        while len(self.known) > MAX_REMEMBERED:
            self.known.popitem(last=False)

    async def one(self, document: bytes) -> Judgement:
        return tuple([(await self._ask(at, [document]))[0] for at in range(len(self.engines))])

    async def _ask(self, at: int, documents: list[bytes]) -> list[Said]:
        raws = await _asked(self.engines[at], documents)
        if self.before is None:
            return [self._said(raw) for raw in raws]
        formers = await _asked(self.before.engines[at], documents)
        return [self._together(*one, self.before) for one in zip(documents, raws, formers, strict=True)]

    def _said(self, raw: bytes | EngineError) -> Said:
        try:
            return Said(answer_of(judge_raw(raw, self.bundle)))
        except EngineError as fault:
            return Said(answer_of(denied(EVALUATION_ERROR)), f"{fault.code}: {fault.message}", _is_lost(raw))

    def _together(self, document: bytes, raw: bytes | EngineError, former: bytes | EngineError, before: Before) -> Said:
        """As `pdp.decide` has it: a former policy without a verdict leaves the refusal standing."""
        try:
            newer = judge_raw(raw, self.bundle)
            permission = judge_raw(former, before.bundle)
            asked = decode_input(document)
        except (EngineError, BadRequestError):
            said = self._said(raw)
            return said._replace(lost=said.lost or _is_lost(former))
        opinions = Opinion(newer, self.bundle), Opinion(permission, before.bundle)
        return Said(answer_of(held_over(asked, *opinions, before.until)))


async def _asked(engine: Engine, documents: list[bytes]) -> list[bytes | EngineError]:
    raws = await _in_lanes(engine, documents)
    # An engine that is busy or has just died may know it now; a policy that fails does so again.
    again = [at for at, raw in enumerate(raws) if _is_lost(raw)]
    for at, raw in zip(again, await _in_lanes(engine, [documents[at] for at in again]), strict=True):
        raws[at] = raw
    return raws


async def _in_lanes(engine: Engine, documents: list[bytes]) -> list[bytes | EngineError]:
    answers: list[bytes | EngineError] = [EngineError("not asked")] * len(documents)
    lanes = min(_LANES, len(documents))

    async def one(lane: int) -> None:
        answers[lane::lanes] = await engine.evaluate(documents[lane::lanes])

    await asyncio.gather(*(one(lane) for lane in range(lanes)))
    return answers


def _is_lost(raw: bytes | EngineError) -> bool:
    return isinstance(raw, EngineTimeoutError | EngineDiedError)


class Court:
    """Benches by the digest of their bundle, opened when they are needed. `async with` closes the engines.

    `make` gives an engine with nothing loaded, by the name that a reader sees. `load` gives a bundle by its digest.
    `every_input`: nothing is taken from the footprint; each document that differs from another is judged. `sight`
    says what a bundle sees.
    """

    def __init__(
        self,
        make: Mapping[str, Callable[[], Engine]],
        load: Callable[[str], Bundle],
        *,
        every_input: bool = False,
        sight: Callable[[Bundle], Footprint] = bundle_footprint,
    ) -> None:
        self.names = tuple(make)
        self._make = make
        self._load = load
        self._sight = (lambda _: WHOLE) if every_input else sight
        self._open: OrderedDict[tuple[str, Held | None], tuple[Bench, AsyncExitStack]] = OrderedDict()
        self.judged = 0  # documents, by benches that are closed

    async def bench(self, which: str | Bundle, held: Held | None = None) -> Bench:
        """The bench of a bundle, or of the one that has this digest; with `held`, together with the one before it.

        Raises NotReadyError and RecordDamagedError as the archive does, BundleError where the bundle does not load,
        EngineError where an engine is not there.
        """
        key = which if isinstance(which, str) else which.digest, held
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key][0]
        return await self._seat(await self._loaded(which) if isinstance(which, str) else which, held)

    async def _loaded(self, digest: str) -> Bundle:
        return await asyncio.to_thread(self._load, digest)

    async def _seat(self, bundle: Bundle, held: Held | None) -> Bench:
        while len(self._open) >= MAX_OPEN:
            _, (bench, stack) = self._open.popitem(last=False)
            self.judged += bench.judged
            await stack.aclose()
        # What was active once has been examined; it is not refused here for what has been forbidden since.
        sight = await asyncio.to_thread(self._sight, bundle)
        async with AsyncExitStack() as stack:
            bench = Bench(bundle, sight, await self._engines(stack, bundle))
            if held is not None:
                former = await self._loaded(held.former)
                theirs = await asyncio.to_thread(self._sight, former)
                bench.footprint = sight.together(theirs).together(HARD)
                bench.before = Before(former, await self._engines(stack, former), held.end)
            self._open[bundle.digest, held] = bench, stack.pop_all()
        return bench

    async def _engines(self, stack: AsyncExitStack, bundle: Bundle) -> list[Engine]:
        engines = []
        for make in self._make.values():
            engine = make()
            stack.push_async_callback(engine.close)
            await engine.activate(bundle)
            engines.append(engine)
        return engines

    @property
    def evaluated(self) -> int:
        """Documents that were judged so far."""
        return self.judged + sum(bench.judged for bench, _ in self._open.values())

    async def close(self) -> None:
        while self._open:
            _, (bench, stack) = self._open.popitem()
            self.judged += bench.judged
            await stack.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
