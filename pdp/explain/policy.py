"""How an explanation asks the policy: through the same engine and the same checks as a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.errors import EngineError
from pdp.explain.case import Case
from pdp.explain.parameters import read_parameters
from pdp.judging import judge_raw
from pdp.model.decision import EVALUATION_ERROR, Verdict, denied
from pdp.model.input import encode_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.model.input import InputV1


class Policy:
    """One bundle on an engine that has activated it. An `Evaluate`."""

    def __init__(self, engine: Engine, bundle: Bundle) -> None:
        self._engine = engine
        self._bundle = bundle

    async def __call__(self, documents: Sequence[InputV1], /) -> list[Verdict]:
        answers = await self._engine.evaluate([encode_input(document) for document in documents])
        return [self._verdict(raw) for raw in answers]

    def _verdict(self, raw: bytes | EngineError) -> Verdict:
        try:
            return judge_raw(raw, self._bundle)
        except EngineError:
            return denied(EVALUATION_ERROR)

    def case(self, document: InputV1, verdict: Verdict) -> Case:
        """What is needed to explain a verdict of this policy."""
        return Case(document, verdict, self._bundle.reasons, read_parameters(self._bundle.data), self)
