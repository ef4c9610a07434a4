"""What is to be explained: one document, the verdict on it, and a way to ask what another document would get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.bundle.annotations import Reason
    from pdp.explain.parameters import Parameters
    from pdp.model.decision import Verdict
    from pdp.model.input import InputV1


class Evaluate(Protocol):
    """Asks the policy that gave the verdict: one verdict per document, in the same order."""

    async def __call__(self, documents: Sequence[InputV1], /) -> list[Verdict]: ...


@dataclass(frozen=True, slots=True)
class Case:
    """`reasons` and `parameters` are those of the bundle that gave the verdict."""

    document: InputV1
    verdict: Verdict
    reasons: Mapping[str, Reason]
    parameters: Parameters
    evaluate: Evaluate
