"""The shipped policy on the embedded engine, asked as the explanation asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from pdp.bundle.bundle import Bundle, read_bundle
from pdp.engine.regorus import RegorusEngine
from pdp.explain.case import Case
from pdp.explain.fact_table import with_values
from pdp.explain.policy import Policy
from pdp.model.decision import Verdict
from pdp.model.input import InputV1, check_input
from pdp.settings import load_settings
from tests.oracle.documents import healthy

CaseOf = Callable[..., Awaitable[Case]]


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return read_bundle(load_settings(environ={}).bundle_path)


@pytest.fixture
async def policy(bundle: Bundle) -> AsyncIterator[Policy]:
    engine = RegorusEngine(timedelta(seconds=20), children=2)
    await engine.activate(bundle)
    yield Policy(engine, bundle)
    await engine.close()


@pytest.fixture
def case_of(policy: Policy) -> CaseOf:
    """The case of a healthy document of one cell of the matrix, with some facts changed."""

    async def make(device_class: str, group: str, place: str = "office", /, **changes: Any) -> Case:
        document = document_of(device_class, group, place, **changes)
        (verdict,) = await policy([document])
        return policy.case(document, verdict)

    return make


def document_of(device_class: str, group: str, place: str = "office", /, **changes: Any) -> InputV1:
    """`device__posture__age_hours=30` changes the fact `device.posture.age_hours`."""
    changed = {path.replace("__", "."): value for path, value in changes.items()}
    return with_values(check_input(healthy(device_class, group, place=place)), changed)


class Counted:
    """An `Evaluate` that remembers what it was asked."""

    def __init__(self, judge: Callable[[InputV1], Verdict]) -> None:
        self._judge = judge
        self.asked: list[InputV1] = []

    async def __call__(self, documents: Sequence[InputV1], /) -> list[Verdict]:
        self.asked += documents
        return [self._judge(document) for document in documents]
