"""What an explanation takes from a bundle's data: the numbers and words that the rules compare facts with.

Everything here is optional: a bundle that names its parameters otherwise is explained with fewer
neighbours, never wrongly, because every claim of an explanation is evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pdp.obligations import PEP_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of `data.zta`; a name that is not there is empty. Numbers ascend, words keep their order."""

    patch_days: tuple[int, ...] = ()
    posture_hours: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()  # that a cell of the matrix asks for
    countries: tuple[str, ...] = ()
    pep_words: tuple[str, ...] = ()  # what an enforcement point can declare; the same for every bundle


def read_parameters(data: Mapping[str, Any]) -> Parameters:
    """The parameters of a bundle's data; what has another type than expected counts as not there."""
    zta = _object(data.get("zta"))
    parameters = _object(zta.get("parameters"))
    return Parameters(
        patch_days=_numbers(parameters, "patch_", "_days"),
        posture_hours=_numbers(parameters, "posture_", "_hours"),
        roles=tuple(dict.fromkeys(_roles(_object(zta.get("matrix"))))),
        countries=_words(parameters.get("allowed_countries")),
        pep_words=PEP_WORDS,
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _numbers(parameters: Mapping[str, Any], prefix: str, suffix: str) -> tuple[int, ...]:
    found = {
        value
        for name, value in parameters.items()
        if name.startswith(prefix) and name.endswith(suffix) and isinstance(value, int) and not isinstance(value, bool)
    }
    return tuple(sorted(found))


def _words(value: object) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def _roles(node: Mapping[str, Any]) -> Iterator[str]:
    for name, value in node.items():
        if name == "role" and isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _roles(value)
