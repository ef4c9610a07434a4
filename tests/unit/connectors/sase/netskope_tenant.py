"""The mapping of a Netskope tenant that the tests export to, its files, and files that somebody has changed."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.sase.example_tenants import example_mapping
from connectors.sase.netskope import NetskopeTarget, target
from connectors.sase.netskope_reading import RULES
from pdp.export.checking import MODEL, Report, check
from pdp.model.rules import encode
from tests.spaces import shipped_model, shipped_space
from tests.unit.connectors.sase.zpa_tenant import few

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.model.rules import RuleModel

MAIL = "[zt-mail]"
Rules = list[dict[str, Any]]


@cache
def _example() -> str:
    return json.dumps(example_mapping("netskope", shipped_model()))


def mapping(**changes: Any) -> dict[str, Any]:
    return {**json.loads(_example()), **changes}


def exported(made: NetskopeTarget, model: RuleModel) -> dict[str, bytes]:
    return {**made.export(model).files, MODEL: encode(model)}


@cache
def few_files() -> Mapping[str, bytes]:
    return exported(target(mapping()), few())


def rules_of(files: Mapping[str, bytes]) -> Rules:
    found: Rules = json.loads(files[RULES])
    return found


def data_of(rules: Rules) -> list[dict[str, Any]]:
    """What the rules ask for."""
    return [rule["rule_data"] for rule in rules]


def checked(change: Callable[[Rules], None], model: RuleModel | None = None, **of: Any) -> Report:
    """The comparison for rules that somebody has changed."""
    model = model or few()
    held = rules_of(few_files())
    change(held)
    files = {RULES: json.dumps(held).encode(), MODEL: encode(model)}
    return check(shipped_space(), model, target(mapping(**of)).interpreter(files))


def written() -> list[Any]:
    """The rules of a few systems that can be said."""
    left = {one.rule for one in target(mapping()).export(few()).left_out}
    return [rule for rule in few().rules if rule.id not in left]


def part(*numbers: int, **changes: Any) -> dict[str, bytes]:
    """An export of these rules alone."""
    rules = written()
    model = msgspec.structs.replace(few(), rules=tuple(rules[number % len(rules)] for number in numbers))
    return exported(target(mapping(**changes)), model)
