"""A policy that is asked for the value of one of its rules, whichever the document names.

The rules, the data and the engine are those that decide; only the entry point is another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.bundle.bundle import make_bundle
from pdp.errors import EngineDiedError, EngineError, EngineTimeoutError
from pdp.judging import judge_raw
from pdp.model.decision import EVALUATION_ERROR, denied
from pdp.replaying.answer import Answer, answer_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.dependence import Step
    from pdp.engine.port import Engine

_PACKAGE: Final = "sekisho_probe"
FAULT: Final = b"fault"  # no JSON: what a rule has that cannot be evaluated. It is a value like another
_SHELF: Final = 12


class _Value(msgspec.Struct):
    value: msgspec.Raw = msgspec.Raw(b"")


_DECODER: Final = msgspec.json.Decoder(_Value)


def probe_of(bundle: Bundle, steps: Sequence[Step]) -> Bundle:
    """The bundle whose answer is `{"value": …}` of the step that the document asks for (`asking_for`), or `{}`."""
    manifest: dict[str, Any] = {
        "revision": f"{bundle.revision} (probe)",
        "rego_version": 1,
        "metadata": {"profile": "plain", "entrypoint": f"{_PACKAGE}/value"},
    }
    module = "\n\n".join([f"package {_PACKAGE}", "default value := {}", *_rules(steps)])
    return make_bundle(manifest=manifest, modules={**bundle.modules, f"{_PACKAGE}.rego": module}, data=bundle.data)


def _rules(steps: Sequence[Step]) -> Iterator[str]:
    """In shelves: an engine tries every definition in turn, and a hundred conditions cost more than most rules."""
    for shelf in range(0, len(steps), _SHELF):
        yield f"default shelf_{shelf} := {{}}"
        yield f"value := shelf_{shelf} if input.{_PACKAGE}.shelf == {shelf}"
        for number in range(shelf, min(shelf + _SHELF, len(steps))):
            reference = steps[number].reference
            yield f'shelf_{shelf} := {{"value": {reference}}} if input.{_PACKAGE}.number == {number}'


def asking_for(document: bytes, number: int) -> bytes:
    """A document (a JSON object that is not empty) that asks for the step of this number."""
    shelf = number - number % _SHELF
    return b'%b,"%b":{"shelf":%d,"number":%d}}' % (document[:-1], _PACKAGE.encode(), shelf, number)


async def values_of(engine: Engine, documents: Sequence[bytes]) -> list[bytes]:
    """What the rules say: JSON, FAULT, or nothing (`b""`) where a rule is undefined.

    Raises EngineError where the engine is lost, twice: that says nothing about the rule.
    """
    raws = await engine.evaluate(documents)
    again = [at for at, raw in enumerate(raws) if isinstance(raw, EngineTimeoutError | EngineDiedError)]
    for at, raw in zip(again, await engine.evaluate([documents[at] for at in again]), strict=True):
        if isinstance(raw, EngineTimeoutError | EngineDiedError):
            raise raw
        raws[at] = raw
    return [FAULT if isinstance(raw, EngineError) else bytes(_DECODER.decode(raw).value) for raw in raws]


def answer_in(value: bytes, bundle: Bundle) -> Answer:
    """The answer that a value of the entry point makes, by the checks of a decision."""
    try:
        return answer_of(judge_raw(EngineError("no value") if value in (FAULT, b"") else value, bundle))
    except EngineError:
        return answer_of(denied(EVALUATION_ERROR))
