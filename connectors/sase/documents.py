"""How the files of every target are encoded, and how rules are told to people in a vendor's description."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.saying import holds
from pdp.errors import ExportError
from pdp.model.rules import Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.model.rules import Condition, Profile, Rule, RuleModel

_NAMED_SYSTEMS: Final = 5  # in a description


def encoded(value: object) -> bytes:
    """JSON of which equal values give equal bytes: keys sorted, UTF-8, a newline at the end."""
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode()


def shortened(text: str, most: int) -> str:
    """A text of `most` characters at most."""
    return text if len(text) <= most else text[: most - 1] + "…"


def rules_words(model: RuleModel, rules: Sequence[Rule]) -> str:
    """Rules of one class of device that stand in one document, in Japanese, with their ids."""
    names = sorted({model.resource(rule.resource).title.ja for rule in rules})
    more = f" ほか{len(names) - _NAMED_SYSTEMS}件" if len(names) > _NAMED_SYSTEMS else ""
    device = model.fact("device.class")
    what = device.words[device.values.index(rules[0].device_class)].ja
    ids = " ".join(sorted(rule.id for rule in rules))
    return f"{what}: {'、'.join(names[:_NAMED_SYSTEMS])}{more} [{ids}]"


def conditions_told(conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    """Conditions as a part of a document: what a set of the tenant has to mean."""
    return [{"fact": one.fact, "values": list(one.values)} for one in conditions]


def members_told(profile: Profile) -> dict[str, Any]:
    """Who is in a set of people, as a part of a document: for whoever fills the group."""
    return {
        "all_of": conditions_told(profile.conditions),
        "departments": list(profile.departments),
        "organisations": list(profile.organisations),
        "ja": profile.title.ja,
        "en": profile.title.en,
    }


def conditions_words(model: RuleModel, conditions: Sequence[Condition]) -> Words:
    """Conditions as one line for people, by the titles of the model."""
    ja, en = [], []
    for condition in conditions:
        fact = model.fact(condition.fact)
        words = [word for value, word in zip(fact.values, fact.words, strict=True) if holds(condition, value)]
        ja.append(f"{fact.title.ja}: {'、'.join(one.ja for one in words)}")
        en.append(f"{fact.title.en}: {', '.join(one.en for one in words)}")
    return Words("；".join(ja), "; ".join(en))


def refuse_lacking(what: str, names: set[str]) -> None:
    """All at once, so that an administrator fills a mapping in one go. Raises ExportError."""
    if names:
        raise ExportError(f"the mapping has no {what} for {', '.join(f'`{name}`' for name in sorted(names))}")
