"""Zscaler Private Access: access policy rules of the API v2, each an allow that stands alone, and a deny at the end.

An allow asks, each in a block of its own (blocks are joined by AND, so that no list widens another), for

- the application segments of its systems and the Client Connector: without the agent there is no posture,
- a SCIM group of users, filled by this service through the directory,
- posture checks of the agent: the class of device, the register's set, the posture's set. The API can only reference
  them; `meanings.json` says what each has to find out,
- attributes of the person for facts of the session, a trusted network for the zone, the country.

ZPA denies what no rule allows. The deny at the end keeps other allows of the tenant, below it, away from our segments.
ZPA has no condition on the time of day, none on single actions, and no obligations.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.zpa_mapping import Mapped, read_mapping
from connectors.sase.zpa_reading import ZpaReading
from connectors.sase.zpa_words import (
    ELSEWHERE,
    KEEP_CALLOUT,
    LEFT,
    NO_ACTION,
    NO_CHECK,
    NO_CONTROL,
    NO_FACT,
    NO_ORGANISATION,
    NO_PAIR,
    NOT_HERE,
    REMARKS,
)
from pdp.errors import ExportError
from pdp.export.port import Exported, LeftOut
from pdp.model.rules import OF_PAIR, Condition, short_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.model.rules import FactValue, Rule, RuleModel, Words

RULES: Final = "access-rules.json"
MEANINGS: Final = "meanings.json"
LAST: Final = "zt.deny-the-rest"
CLIENT: Final = "zpn_client_type_zapp"  # the Client Connector
_ACTION: Final = "action.name"
_ZONE: Final = "context.zone"
_COUNTRY: Final = "context.country"
_ISO: Final = re.compile("[A-Z]{2}", re.ASCII)
_MAX_DESCRIPTION: Final = 1000  # of a rule; the vendor names no limit
_NAMED_SYSTEMS: Final = 5  # in a rule's description

Block = dict[str, Any]


def target(mapping: Mapping[str, Any]) -> ZpaTarget:
    """Raises SettingsError for a mapping that it cannot use."""
    return ZpaTarget(read_mapping(mapping))


class ZpaTarget:
    """The port `Target`."""

    def __init__(self, mapped: Mapped) -> None:
        self._mapped = mapped

    @property
    def name(self) -> str:
        return "zpa"

    def export(self, model: RuleModel) -> Exported:
        """As the port says. Raises ExportError for a system, group, class or set that the mapping lacks."""
        mapped = self._mapped
        systems = {rule.resource for rule in model.rules}
        _refuse_lacking("segment", systems - {*mapped.resources, *mapped.leave})
        left_out: list[LeftOut] = []
        alike: dict[str, list[Rule]] = {}
        for rule in model.rules:
            what = self._cannot(model, rule)
            if what is not None:
                left_out.append(LeftOut(rule.id, *what))
                continue
            same = [rule.device_class, rule.users, rule.device, rule.posture, sorted(self._rest(rule))]
            alike.setdefault(f"zt.{rule.device_class}.{short_digest(same)}", []).append(rule)
        written = [rule for rules in alike.values() for rule in rules]
        _refuse_lacking("group", {rule.users for rule in written if rule.users} - mapped.groups.keys())
        _refuse_lacking("class of device", {rule.device_class for rule in written} - mapped.classes.keys())
        _refuse_lacking("set", {one for rule in written for one in _sets(rule)} - mapped.sets.keys())
        documents = [self._allow(model, name, rules) for name, rules in sorted(alike.items())]
        if used := systems & mapped.resources.keys():
            documents.append(self._last(used))
        files = {RULES: _json(documents), MEANINGS: _json(_meanings(model, mapped))}
        return Exported(files, tuple(left_out), REMARKS)

    def interpreter(self, files: Mapping[str, bytes]) -> ZpaReading:
        """As the port says."""
        return ZpaReading(files, self._mapped)

    # What cannot be said.

    def _cannot(self, model: RuleModel, rule: Rule) -> tuple[str, Words, Words] | None:
        mapped = self._mapped
        if rule.resource in mapped.leave:
            return rule.resource, LEFT, ELSEWHERE
        if lacking := [one for one in rule.controls if one not in mapped.enforces]:
            return lacking[0], NO_CONTROL, KEEP_CALLOUT
        if _asks_whose_data(model, rule):
            return "organisation", NO_ORGANISATION, KEEP_CALLOUT
        asked = [one.fact for name in _sets(rule) for one in model.profile(name).conditions]
        if not mapped.one_person_devices and (pair := [fact for fact in asked if fact in OF_PAIR]):
            return pair[0], NO_PAIR, KEEP_CALLOUT
        if unknown := [one for one in (rule.device_class, *_sets(rule)) if one in mapped.unsaid]:
            return unknown[0], NO_CHECK, KEEP_CALLOUT
        refused = ((one.fact, self._refusal(one, rule)) for one in rule.conditions)
        return next(((fact, *words) for fact, words in refused if words is not None), None)

    def _refusal(self, condition: Condition, rule: Rule) -> tuple[Words, Words] | None:
        given = self._mapped.given_here
        if condition.fact == _ACTION:
            done = self._mapped.resources[rule.resource].action
            return None if done in condition.values else (NO_ACTION, KEEP_CALLOUT)
        if condition.fact in given:
            return None if _holds(condition, given[condition.fact]) else (NOT_HERE, ELSEWHERE)
        return None if self._block(condition) is not None else (NO_FACT, KEEP_CALLOUT)

    def _rest(self, rule: Rule) -> list[Condition]:
        """What is neither given here nor the action, which the segment says."""
        given = self._mapped.given_here
        return [one for one in rule.conditions if one.fact not in given and one.fact != _ACTION]

    # What is written.

    def _block(self, condition: Condition) -> Block | None:
        """A condition of a session as a block: any of its values. None where ZPA cannot ask for one of them."""
        mapped, values = self._mapped, condition.values
        if condition.fact in mapped.attributes:
            attribute = mapped.attributes[condition.fact]
            return _entries(attribute.kind, [(attribute.id, value_text(value)) for value in values])
        if condition.fact == _ZONE and all(mapped.networks.get(str(value)) for value in values):
            ids = sorted(one for value in values for one in mapped.networks[str(value)])
            return _entries("TRUSTED_NETWORK", [(one, "true") for one in ids])
        if condition.fact == _COUNTRY and all(_ISO.fullmatch(str(value)) for value in values):
            return _entries("COUNTRY_CODE", [(str(value), "true") for value in values])
        return None

    def _allow(self, model: RuleModel, name: str, rules: Sequence[Rule]) -> dict[str, Any]:
        """One allow for all systems that differ in nothing but their segments."""
        rule, mapped = rules[0], self._mapped
        device = mapped.classes[rule.device_class]
        blocks = [self._segments({one.resource for one in rules}), _listed("CLIENT_TYPE", [CLIENT])]
        if rule.users:
            blocks.append(_entries("SCIM_GROUP", [(mapped.idp, mapped.groups[rule.users])]))
        checks = [device.posture, *(mapped.sets[one] for one in _sets(rule))]
        blocks += [_entries("POSTURE", [(check, "true")]) for check in checks]
        if device.platforms:
            blocks.append(_entries("PLATFORM", [(one, "true") for one in sorted(device.platforms)]))
        blocks += [block for one in sorted(self._rest(rule)) if (block := self._block(one)) is not None]
        return _rule(name, "ALLOW", _words(model, rules), blocks)

    def _segments(self, systems: set[str]) -> Block:
        return _listed("APP", sorted(one for name in systems for one in self._mapped.resources[name].segments))

    def _last(self, systems: set[str]) -> dict[str, Any]:
        return _rule(LAST, "DENY", "上の規則が許可しない利用はすべて拒否する", [self._segments(systems)])


def value_text(value: FactValue) -> str:
    """A value as the text of an attribute: `2`, `true`, `office`."""
    return value if isinstance(value, str) else json.dumps(value)


def _rule(name: str, action: str, words: str, blocks: Sequence[Block]) -> dict[str, Any]:
    text = words if len(words) <= _MAX_DESCRIPTION else words[: _MAX_DESCRIPTION - 1] + "…"
    return {"name": name, "description": text, "action": action, "operator": "AND", "conditions": list(blocks)}


def _listed(kind: str, values: Sequence[str]) -> Block:
    return {"operator": "OR", "operands": [{"objectType": kind, "values": list(values)}]}


def _entries(kind: str, pairs: Sequence[tuple[str, str]]) -> Block:
    entries = [{"lhs": left, "rhs": right} for left, right in pairs]
    return {"operator": "OR", "operands": [{"objectType": kind, "entryValues": entries}]}


def _sets(rule: Rule) -> list[str]:
    return [one for one in (rule.device, rule.posture) if one]


def _asks_whose_data(model: RuleModel, rule: Rule) -> bool:
    if not rule.users:
        return False
    users = model.profile(rule.users)
    return any(one.fact == "organisation" for one in users.conditions) and not users.organisations


def _holds(condition: Condition, given: FactValue) -> bool:
    return any(given == one and type(given) is type(one) for one in condition.values)  # true is not 1


def _refuse_lacking(what: str, names: set[str]) -> None:
    """All at once, so that an administrator fills a mapping in one go. Raises ExportError."""
    if names:
        raise ExportError(f"the mapping has no {what} for {', '.join(f'`{name}`' for name in sorted(names))}")


def _words(model: RuleModel, rules: Sequence[Rule]) -> str:
    names = sorted({model.resource(rule.resource).title.ja for rule in rules})
    more = f" ほか{len(names) - _NAMED_SYSTEMS}件" if len(names) > _NAMED_SYSTEMS else ""
    device = model.fact("device.class")
    what = device.words[device.values.index(rules[0].device_class)].ja
    ids = " ".join(sorted(rule.id for rule in rules))
    return f"{what}: {'、'.join(names[:_NAMED_SYSTEMS])}{more} [{ids}]"


def _meanings(model: RuleModel, mapped: Mapped) -> list[dict[str, Any]]:
    """What each id of the tenant has to mean: for whoever makes the checks and fills groups and attributes."""

    def told(kind: str, of: str, conditions: Sequence[Condition], **more: Any) -> dict[str, Any]:
        all_of = [{"fact": one.fact, "values": list(one.values)} for one in conditions]
        return {"kind": kind, "id": of, "all_of": all_of, **more}

    found = [
        told("POSTURE", one.posture, [Condition("device.class", (name,))])
        for name, one in sorted(mapped.classes.items())
    ]
    for profile in model.profiles:
        about: dict[str, Any] = {"profile": profile.id, "ja": profile.title.ja, "en": profile.title.en}
        if profile.id in mapped.sets:
            found.append(told("POSTURE", mapped.sets[profile.id], profile.conditions, **about))
        if profile.id in mapped.groups:
            about |= {"departments": list(profile.departments), "organisations": list(profile.organisations)}
            group = mapped.groups[profile.id]
            found.append(told("SCIM_GROUP", group, profile.conditions, idp=mapped.idp, **about))
    for name, attribute in sorted(mapped.attributes.items()):
        values = next((fact.values for fact in model.facts if fact.name == name), ())
        found.append({"kind": attribute.kind, "id": attribute.id, "fact": name, "texts": [*map(value_text, values)]})
    for zone, ids in sorted(mapped.networks.items()):
        found += [told("TRUSTED_NETWORK", one, [Condition(_ZONE, (zone,))]) for one in ids]
    return found


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode()
