"""Netskope Private Access (preview): real-time protection rules for private apps, each an allow that stands alone.

An allow asks for a group of users that this service fills through the directory, a device classification (one label for
class, register and posture together) and the client, without which nobody classifies a device. A private app that no
rule allows is not reached, so nothing has to be denied; and nothing is: the vendor's own tests leave its block rules
out, and its documents disagree on what order means (`netskope_reading`).

NPA has no condition on the login, on the time of day or on single actions, and no obligations. Signals of risk take a
person out of every group. Networks and countries of the source count where the mapping says so (`source_ip`): the
vendor names them for access by browser only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.documents import conditions_told, encoded, members_told, refuse_lacking, rules_words, shortened
from connectors.sase.netskope_labels import by_priority, implies, joined, kept, label_of, meaning_of, overlapping
from connectors.sase.netskope_mapping import Mapped, read_mapping
from connectors.sase.netskope_reading import CLIENT, RULES, NetskopeReading
from connectors.sase.netskope_words import NO_ACTION, NO_CONTROL, NO_FACT, NO_LABEL, NO_SOURCE, NOT_HERE, REMARKS
from connectors.sase.saying import ACTION, COUNTRY, ZONE, device_sets, holds, unsayable
from connectors.sase.words import ELSEWHERE, KEEP_CALLOUT
from pdp.export.port import Exported, LeftOut
from pdp.model.rules import Condition, short_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.sase.netskope_labels import Conditions
    from connectors.sase.saying import Unsaid
    from pdp.model.rules import Rule, RuleModel, Words

MEANINGS: Final = "meanings.json"
_ISO: Final = re.compile("[A-Z]{2}", re.ASCII)
_MAX_DESCRIPTION: Final = 500  # of a rule; the vendor names no limit
_MAX_LABEL: Final = 80  # letters, digits, hyphens and blanks: the vendor's Terraform provider


def target(mapping: Mapping[str, Any]) -> NetskopeTarget:
    """Raises SettingsError for a mapping that it cannot use."""
    return NetskopeTarget(read_mapping(mapping))


class NetskopeTarget:
    """The port `Target`."""

    def __init__(self, mapped: Mapped) -> None:
        self._mapped = mapped

    @property
    def name(self) -> str:
        return "netskope"

    def export(self, model: RuleModel) -> Exported:
        """As the port says. Raises ExportError for a system, group or set of devices that the mapping lacks."""
        mapped = self._mapped
        refuse_lacking("private app", {rule.resource for rule in model.rules} - {*mapped.resources, *mapped.leave})
        left_out: list[LeftOut] = []
        alike: dict[str, list[Rule]] = {}
        for rule in model.rules:
            what = self._cannot(model, rule)
            if what is not None:
                left_out.append(LeftOut(rule.id, *what))
                continue
            same = [label_of(rule), rule.users, sorted(self._rest(rule))]
            alike.setdefault(f"zt-{rule.device_class}-{short_digest(same)}", []).append(rule)
        written = [rule for rules in alike.values() for rule in rules]
        refuse_lacking("group", {rule.users for rule in written if rule.users} - mapped.groups.keys())
        used = {label_of(rule) for rule in written}
        labels = joined({label: meaning_of(label, model.profile) for label in used}, model.profile)
        ids = kept(labels, mapped.labels, model.profile)
        refuse_lacking("label", used - ids.keys())
        documents = [self._allow(model, name, rules, labels, ids) for name, rules in sorted(alike.items())]
        files = {RULES: encoded(documents), MEANINGS: encoded(_meanings(model, mapped, labels, ids))}
        return Exported(files, tuple(left_out), REMARKS)

    def interpreter(self, files: Mapping[str, bytes]) -> NetskopeReading:
        """As the port says."""
        return NetskopeReading(files, self._mapped)

    # What cannot be said.

    def _cannot(self, model: RuleModel, rule: Rule) -> Unsaid | None:
        mapped = self._mapped
        common = unsayable(model, rule, mapped, NO_CONTROL, pairs=mapped.one_person_devices)
        if common is not None:
            return common
        named = (rule.device_class, *device_sets(rule), label_of(rule))
        if unknown := [one for one in named if one in mapped.unsaid]:
            return unknown[0], NO_LABEL, KEEP_CALLOUT
        refused = ((one.fact, self._refusal(one, rule)) for one in rule.conditions)
        return next(((fact, *words) for fact, words in refused if words is not None), None)

    def _refusal(self, condition: Condition, rule: Rule) -> tuple[Words, Words] | None:
        mapped = self._mapped
        given = mapped.given_here
        if condition.fact == ACTION:
            done = mapped.resources[rule.resource].action
            return None if done in condition.values else (NO_ACTION, KEEP_CALLOUT)
        if condition.fact in given:
            return None if holds(condition, given[condition.fact]) else (NOT_HERE, ELSEWHERE)
        if condition.fact in mapped.withdrawn and rule.users:
            return None if condition.values == (False,) else (NO_FACT, KEEP_CALLOUT)
        if condition.fact in (ZONE, COUNTRY):
            return None if self._source(condition) else (NO_SOURCE, KEEP_CALLOUT)
        return NO_FACT, KEEP_CALLOUT

    def _rest(self, rule: Rule) -> list[Condition]:
        """What a rule asks of the source: all else is given, in the group, in the label, or said by the private app."""
        given = self._mapped.given_here
        return [one for one in rule.conditions if one.fact in (ZONE, COUNTRY) and one.fact not in given]

    def _source(self, condition: Condition) -> dict[str, Any]:
        """A zone or a country as the fields that say it; empty where nothing does."""
        mapped, values = self._mapped, condition.values
        if not mapped.source_ip:
            return {}
        if condition.fact == ZONE and all(mapped.networks.get(str(value)) for value in values):
            names = sorted(one for value in values for one in mapped.networks[str(value)])
            return {"net_location_obj": names, "b_negateNetLocation": False}
        if condition.fact == COUNTRY and all(_ISO.fullmatch(str(value)) for value in values):
            return {"srcCountries": [str(value) for value in values], "b_negateSrcCountries": False}
        return {}

    # What is written.

    def _allow(
        self,
        model: RuleModel,
        name: str,
        rules: Sequence[Rule],
        labels: Mapping[str, Conditions],
        ids: Mapping[str, int],
    ) -> dict[str, Any]:
        """One allow for all systems that differ in nothing but their private apps."""
        rule, mapped = rules[0], self._mapped
        wanted = labels[label_of(rule)]
        apps = {one for held in rules for one in mapped.resources[held.resource].private_apps}
        asked: dict[str, Any] = {
            "policy_type": "private-app",
            "json_version": 3,
            "version": 1,
            "userType": "user",
            "access_method": [CLIENT],
            "privateApps": [f"[{one}]" for one in sorted(apps)],
            "device_classification_id": sorted(
                number for label, number in ids.items() if implies(labels[label], wanted)
            ),
            "match_criteria_action": {"action_name": "allow"},
        }
        if rule.users:
            asked["userGroups"] = [mapped.groups[rule.users]]
        for condition in self._rest(rule):
            asked |= self._source(condition)
        return {
            "rule_name": name,
            "description": shortened(rules_words(model, rules), _MAX_DESCRIPTION),
            "enabled": "1",
            "group_name": mapped.policy_group,
            "rule_order": {"order": "bottom"},
            "rule_data": asked,
        }


def _meanings(
    model: RuleModel, mapped: Mapped, labels: Mapping[str, Conditions], ids: Mapping[str, int]
) -> list[dict[str, Any]]:
    """What each object of the tenant has to mean: for whoever makes classifications and fills groups.

    A set of devices without an id is what two labels have in common and the mapping has no label for.
    """
    there = {label: labels[label] for label in ids}
    found: list[dict[str, Any]] = [
        {
            "kind": "device_classification",
            "id": ids.get(label),
            "set": label,
            "name": _label_name(label),
            "priority": priority,
            "all_of": conditions_told(labels[label]),
            "overlaps": overlapping(label, there, model.profile) if label in there else [],
        }
        for priority, label in enumerate(by_priority(labels), 1)
    ]
    out = [Condition(name, (False,)) for name in sorted(mapped.withdrawn)]
    found += [
        {
            "kind": "userGroups",
            "id": mapped.groups[profile.id],
            "profile": profile.id,
            **members_told(profile),
            "all_of": conditions_told([*profile.conditions, *out]),
        }
        for profile in model.profiles
        if profile.id in mapped.groups
    ]
    for zone, names in sorted(mapped.networks.items()):
        told = conditions_told([Condition(ZONE, (zone,))])
        found += [{"kind": "net_location_obj", "id": one, "all_of": told} for one in names]
    return found


def _label_name(label: str) -> str:
    """A name that the vendor takes for a label: letters, digits, hyphens and blanks, one of its own for each set."""
    name = re.sub(r"[^A-Za-z0-9-]", " ", f"zt {label}".replace("_", "-"))
    return name if len(name) <= _MAX_LABEL else f"{name[: _MAX_LABEL - 9]} {short_digest(label)}"
