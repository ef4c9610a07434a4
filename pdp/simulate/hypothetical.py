"""One request that nobody made: any fact changed, every condition that it does not meet, and the ways out.

The answer names the first group that refuses, so that people are told one thing at a time. Whoever changes a policy, or
helps somebody on the telephone, wants all of them: every rule is asked for its value, and a reason that refuses counts
wherever it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import msgspec

from pdp.errors import BadRequestError
from pdp.explain.fact_table import BY_PATH, with_values
from pdp.model.input import encode_input
from pdp.simulate.probe import asking_for, values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.dependence import Step
    from pdp.engine.port import Engine
    from pdp.explain.case import Case
    from pdp.explain.ways_out import WayOut
    from pdp.model.input import InputV1


@dataclass(frozen=True, slots=True)
class Unmet:
    """One reason that refuses or asks for more, the rules that give it, outermost last, and where it is described."""

    code: str
    rules: tuple[str, ...]
    where: str


def changed(document: InputV1, changes: Iterable[str]) -> InputV1:
    """The document with facts changed: `device.posture.patch_age_days=40`; the value is JSON, or a text as it stands.

    Raises BadRequestError for a fact that there is none, or a value that it never has.
    """
    values: dict[str, Any] = {}
    for change in changes:
        path, sign, text = change.partition("=")
        if not sign or path not in BY_PATH:
            raise BadRequestError(
                f"`{change}` is not FACT=VALUE", next_step="`pdp decide` shows the names of the facts"
            )
        try:
            values[path] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            values[path] = text
    return with_values(document, values)


async def unmet_conditions(engine: Engine, bundle: Bundle, steps: Sequence[Step], document: InputV1) -> list[Unmet]:
    """Every reason of the bundle that refuses, in any group. `engine` has `probe_of(bundle, steps)` active."""
    encoded = encode_input(document)
    said = await values_of(engine, [asking_for(encoded, number) for number in range(len(steps))])
    rules: dict[str, list[str]] = {}
    for step, value in zip(steps, said, strict=True):
        for code in _codes(value):
            if code in bundle.reasons and bundle.reasons[code].group != "ok":
                rules.setdefault(code, []).append(step.reference)
    # A list of all codes, such as their order, holds those that nobody gave too.
    everything = {step.reference for step, value in zip(steps, said, strict=True) if not step.reads and not step.asks}
    found = []
    for code, given in rules.items():
        own = tuple(reference for reference in given if reference not in everything)
        if own:
            found.append(Unmet(code, own, _place(bundle, code)))
    return sorted(found, key=lambda one: (bundle.reasons[one.code].group, one.code))


def _codes(value: bytes) -> set[str]:
    """The texts directly in a set or a list. An object (a level by cause) says what is asked, not that it is unmet."""
    try:
        found = msgspec.json.decode(value)
    except msgspec.DecodeError:
        return set()
    return {item for item in found if isinstance(item, str)} if isinstance(found, list) else set()


def _place(bundle: Bundle, code: str) -> str:
    """File and line of the METADATA with this code."""
    for name, text in bundle.modules.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip().removeprefix("#").strip() == f"code: {code}":
                return f"{name}:{number}"
    return ""


async def proven_minimal(case: Case, ways: Sequence[WayOut]) -> list[WayOut]:
    """The ways of which no part suffices, each part asked of the policy itself."""
    found = []
    for way in ways:
        parts = [part for size in range(1, len(way.mends)) for part in combinations(way.mends, size)]
        documents = [
            with_values(case.document, {path: value for mend in part for path, value in mend.changes.items()})
            for part in parts
        ]
        verdicts = await case.evaluate(documents) if documents else []
        if not any(verdict.permits for verdict in verdicts):
            found.append(way)
    return found
