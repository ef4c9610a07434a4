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

import re
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.documents import conditions_told, encoded, members_told, refuse_lacking, rules_words, shortened
from connectors.sase.saying import ACTION, COUNTRY, ZONE, device_sets, holds, of_class, unsayable, value_text
from connectors.sase.words import ELSEWHERE, KEEP_CALLOUT
from connectors.sase.zpa_mapping import Mapped, read_mapping
from connectors.sase.zpa_reading import ZpaReading
from connectors.sase.zpa_words import NO_ACTION, NO_CHECK, NO_CONTROL, NO_FACT, NOT_HERE, REMARKS
from pdp.export.port import Exported, LeftOut
from pdp.model.rules import Condition, short_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.sase.saying import Unsaid
    from pdp.model.rules import Rule, RuleModel, Words

RULES: Final = "access-rules.json"
MEANINGS: Final = "meanings.json"
LAST: Final = "zt.deny-the-rest"
CLIENT: Final = "zpn_client_type_zapp"  # the Client Connector
_ISO: Final = re.compile("[A-Z]{2}", re.ASCII)
_MAX_DESCRIPTION: Final = 1000  # of a rule; the vendor names no limit

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
        refuse_lacking("segment", systems - {*mapped.resources, *mapped.leave})
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
        refuse_lacking("group", {rule.users for rule in written if rule.users} - mapped.groups.keys())
        refuse_lacking("class of device", {rule.device_class for rule in written} - mapped.classes.keys())
        refuse_lacking("set", {one for rule in written for one in device_sets(rule)} - mapped.sets.keys())
        documents = [self._allow(model, name, rules) for name, rules in sorted(alike.items())]
        if used := systems & mapped.resources.keys():
            documents.append(self._last(used))
        files = {RULES: encoded(documents), MEANINGS: encoded(_meanings(model, mapped))}
        return Exported(files, tuple(left_out), REMARKS)

    def interpreter(self, files: Mapping[str, bytes]) -> ZpaReading:
        """As the port says."""
        return ZpaReading(files, self._mapped)

    # What cannot be said.

    def _cannot(self, model: RuleModel, rule: Rule) -> Unsaid | None:
        mapped = self._mapped
        common = unsayable(model, rule, mapped, NO_CONTROL, pairs=mapped.one_person_devices)
        if common is not None:
            return common
        if unknown := [one for one in (rule.device_class, *device_sets(rule)) if one in mapped.unsaid]:
            return unknown[0], NO_CHECK, KEEP_CALLOUT
        refused = ((one.fact, self._refusal(one, rule)) for one in rule.conditions)
        return next(((fact, *words) for fact, words in refused if words is not None), None)

    def _refusal(self, condition: Condition, rule: Rule) -> tuple[Words, Words] | None:
        given = self._mapped.given_here
        if condition.fact == ACTION:
            done = self._mapped.resources[rule.resource].action
            return None if done in condition.values else (NO_ACTION, KEEP_CALLOUT)
        if condition.fact in given:
            return None if holds(condition, given[condition.fact]) else (NOT_HERE, ELSEWHERE)
        return None if self._block(condition) is not None else (NO_FACT, KEEP_CALLOUT)

    def _rest(self, rule: Rule) -> list[Condition]:
        """What is neither given here nor the action, which the segment says."""
        given = self._mapped.given_here
        return [one for one in rule.conditions if one.fact not in given and one.fact != ACTION]

    # What is written.

    def _block(self, condition: Condition) -> Block | None:
        """A condition of a session as a block: any of its values. None where ZPA cannot ask for one of them."""
        mapped, values = self._mapped, condition.values
        if condition.fact in mapped.attributes:
            attribute = mapped.attributes[condition.fact]
            return _entries(attribute.kind, [(attribute.id, value_text(value)) for value in values])
        if condition.fact == ZONE and all(mapped.networks.get(str(value)) for value in values):
            ids = sorted(one for value in values for one in mapped.networks[str(value)])
            return _entries("TRUSTED_NETWORK", [(one, "true") for one in ids])
        if condition.fact == COUNTRY and all(_ISO.fullmatch(str(value)) for value in values):
            return _entries("COUNTRY_CODE", [(str(value), "true") for value in values])
        return None

    def _allow(self, model: RuleModel, name: str, rules: Sequence[Rule]) -> dict[str, Any]:
        """One allow for all systems that differ in nothing but their segments."""
        rule, mapped = rules[0], self._mapped
        device = mapped.classes[rule.device_class]
        blocks = [self._segments({one.resource for one in rules}), _listed("CLIENT_TYPE", [CLIENT])]
        if rule.users:
            blocks.append(_entries("SCIM_GROUP", [(mapped.idp, mapped.groups[rule.users])]))
        checks = [device.posture, *(mapped.sets[one] for one in device_sets(rule))]
        blocks += [_entries("POSTURE", [(check, "true")]) for check in checks]
        if device.platforms:
            blocks.append(_entries("PLATFORM", [(one, "true") for one in sorted(device.platforms)]))
        blocks += [block for one in sorted(self._rest(rule)) if (block := self._block(one)) is not None]
        return _rule(name, "ALLOW", rules_words(model, rules), blocks)

    def _segments(self, systems: set[str]) -> Block:
        return _listed("APP", sorted(one for name in systems for one in self._mapped.resources[name].segments))

    def _last(self, systems: set[str]) -> dict[str, Any]:
        return _rule(LAST, "DENY", "上の規則が許可しない利用はすべて拒否する", [self._segments(systems)])


def _rule(name: str, action: str, words: str, blocks: Sequence[Block]) -> dict[str, Any]:
    text = shortened(words, _MAX_DESCRIPTION)
    return {"name": name, "description": text, "action": action, "operator": "AND", "conditions": list(blocks)}


def _listed(kind: str, values: Sequence[str]) -> Block:
    return {"operator": "OR", "operands": [{"objectType": kind, "values": list(values)}]}


def _entries(kind: str, pairs: Sequence[tuple[str, str]]) -> Block:
    entries = [{"lhs": left, "rhs": right} for left, right in pairs]
    return {"operator": "OR", "operands": [{"objectType": kind, "entryValues": entries}]}


def _meanings(model: RuleModel, mapped: Mapped) -> list[dict[str, Any]]:
    """What each id of the tenant has to mean: for whoever makes the checks and fills groups and attributes."""

    def told(kind: str, of: str, conditions: Sequence[Condition], **more: Any) -> dict[str, Any]:
        return {"kind": kind, "id": of, "all_of": conditions_told(conditions), **more}

    found = [told("POSTURE", one.posture, [of_class(name)]) for name, one in sorted(mapped.classes.items())]
    for profile in model.profiles:
        about: dict[str, Any] = {"profile": profile.id, "ja": profile.title.ja, "en": profile.title.en}
        if profile.id in mapped.sets:
            found.append(told("POSTURE", mapped.sets[profile.id], profile.conditions, **about))
        if profile.id in mapped.groups:
            group = {"kind": "SCIM_GROUP", "id": mapped.groups[profile.id], "idp": mapped.idp}
            found.append({**group, "profile": profile.id, **members_told(profile)})
    for name, attribute in sorted(mapped.attributes.items()):
        values = next((fact.values for fact in model.facts if fact.name == name), ())
        found.append({"kind": attribute.kind, "id": attribute.id, "fact": name, "texts": [*map(value_text, values)]})
    for zone, ids in sorted(mapped.networks.items()):
        found += [told("TRUSTED_NETWORK", one, [Condition(ZONE, (zone,))]) for one in ids]
    return found
