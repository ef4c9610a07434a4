"""What may stand in a policy, with its meaning in two languages: for whoever completes what somebody types. Pure."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.capabilities import Capabilities, default_capabilities
from pdp.bundle.input_schema import SCHEMA
from pdp.explain.fact_table import FACTS, GROUPS, closed_values, kind_of_fact
from pdp.model.words import words_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.model.decision import Text

Json = dict[str, Any]

# Written as signs, or made by the parser: nobody calls them by name.
_SIGNS: Final = ("internal.", "internal.member_2", "internal.member_3")


def vocabulary_of(capabilities: Mapping[str, Any]) -> Json:
    """`{"facts": […], "builtins": […]}`. `capabilities`: the bundle's own; empty: what counts without one."""
    return {"facts": [dict(fact) for fact in _facts()], "builtins": _builtins(capabilities)}


@cache
def _facts() -> tuple[Json, ...]:
    """Each with its group above it, in the order of the document."""
    groups = [{"path": f"input.{path}", "type": "object", "values": [], **_both(text)} for path, text in GROUPS.items()]
    facts = [
        {
            "path": f"input.{fact.path}",
            "type": kind_of_fact(fact.path),
            "values": [{"value": value, **_both(words_for(fact.path, value))} for value in _values(fact.path)],
            **_both(fact.label),
        }
        for fact in FACTS
    ]
    return (*groups, *facts)


def _values(path: str) -> list[Any]:
    """All that a closed fact can be; of a list, what may stand in it."""
    place = SCHEMA.get(tuple(path.split(".")))
    if place is not None and place.is_list:
        return sorted(place.items or ())
    return closed_values(path)


def _both(text: Text) -> Json:
    return {"ja": text.ja, "en": text.en}


def _builtins(capabilities: Mapping[str, Any]) -> list[Json]:
    """Those that this bundle may call by name. Raises BundleError where its list is none."""
    permitted = Capabilities(capabilities or default_capabilities())
    found = []
    for one in default_capabilities()["builtins"]:
        name = str(one["name"])
        if "infix" in one or name.startswith(_SIGNS) or not permitted.permits(name):
            continue
        arguments = one.get("decl", {}).get("args") or []
        names = [str(argument.get("name") or argument.get("type", "x")) for argument in arguments]
        found.append({"name": name, "args": names, "text": str(one.get("description", ""))})
    return found
