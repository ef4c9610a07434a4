"""Judging many documents the way the service does: check, engine, verdict, obligations. For property tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pdp.bundle.bundle import Bundle
from pdp.engine.port import Engine
from pdp.engine.verdict import read_verdict
from pdp.errors import BadRequestError, EngineError
from pdp.model.input import check_input, encode_input
from pdp.obligations import check_obligations

BAD_INPUT: dict[str, Any] = {"outcome": "deny", "reasons": ["BAD_INPUT"], "obligations": {}}
_ERROR: dict[str, Any] = {"outcome": "deny", "reasons": ["EVALUATION_ERROR"], "obligations": {}}


async def judge_all(engine: Engine, bundle: Bundle, documents: Sequence[object]) -> list[dict[str, Any]]:
    """One answer per document, in the form of `pdp eval`."""
    encoded: list[bytes | None] = []
    for document in documents:
        try:
            encoded.append(encode_input(check_input(document)))
        except BadRequestError:
            encoded.append(None)
    values = iter(await engine.evaluate([one for one in encoded if one is not None]))
    return [BAD_INPUT if one is None else _answer(next(values), bundle) for one in encoded]


async def judge_raw(engine: Engine, documents: Sequence[object]) -> list[dict[str, Any]]:
    """The policy's own word, without the check that stands before it in the service."""
    values = await engine.evaluate([json.dumps(document).encode() for document in documents])
    return [_ERROR if isinstance(value, EngineError) else json.loads(value) for value in values]


def _answer(value: bytes | EngineError, bundle: Bundle) -> dict[str, Any]:
    if isinstance(value, EngineError):
        return _ERROR
    verdict = read_verdict(value, bundle.profile)
    check_obligations(verdict.obligations)
    answer: dict[str, Any] = {
        "outcome": verdict.outcome.value,
        "reasons": list(verdict.reasons),
        "obligations": dict(verdict.obligations),
    }
    if verdict.required_auth_level is not None:
        answer["required_auth_level"] = verdict.required_auth_level
    return answer
