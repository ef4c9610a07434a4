"""The engine, asked for parts of a policy: the bundle as it is, with a module of questions beside its own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pdp.engine.regorus import RegorusEngine
from pdp.errors import EngineError
from pdp.space.parts import ANSWER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.space.parts import Parts

_CHUNK: Final = 4_000  # documents handed over at once; the engine lets 10,000 wait
_DEADLINE: Final = timedelta(seconds=5)  # of one question: a host may be busy with something else
_PATIENCE: Final = timedelta(minutes=5)  # of one chunk


class EngineAsker:
    """The port `tables.Asker` over an engine that has the questions loaded."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ask(self, documents: Sequence[bytes]) -> list[bytes]:
        """As the port says."""
        answers: list[bytes] = []
        for begin in range(0, len(documents), _CHUNK):
            for answer in await self._engine.evaluate(documents[begin : begin + _CHUNK]):
                if isinstance(answer, EngineError):
                    raise answer
                answers.append(answer)
        return answers


@asynccontextmanager
async def asker_for(bundle: Bundle, parts: Parts, *, children: int) -> AsyncIterator[EngineAsker]:
    """An asker for the parts of this bundle, by `children` processes. Raises BundleError and EngineError."""
    engine = RegorusEngine(_DEADLINE, children, patience=_PATIENCE)
    try:
        await engine.activate(replace(bundle, modules={**bundle.modules, **parts.modules}, entrypoint=ANSWER))
        yield EngineAsker(engine)
    finally:
        await engine.close()
