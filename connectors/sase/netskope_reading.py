"""What exported NPA rules let through, by the vendor's documents, from the files alone.

docs.netskope.com, "Create a Real-time Protection Policy for Private Apps": private apps are never reached without a
policy that matches; kinds of criteria are joined by AND, the names of one kind by OR; a kind that is not there is met
by anyone. What wins where an allow and a block both match is told in two ways: the first one from the top (quick start
of the administrator's guide), or the most specific one, wherever it stands (the vendor's Terraform provider,
`netskope_npa_rules_order`). So an allow counts wherever it stands, and a block for nothing; a rule that is switched off
counts as if it were on.

Only the client classifies a device, so a rule for any other way of access counts as if it asked for no label. Networks
and countries of the source count as if they were not asked for, unless the mapping says that the tenant looks at them
(`source_ip`). What is not known is refused (ExportError). Ids mean what the mapping says.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.controls import carried_out
from connectors.sase.netskope_labels import meaning_of
from connectors.sase.netskope_schema import faults
from connectors.sase.regions import any_of, members_here
from connectors.sase.saying import ACTION, COUNTRY, ZONE
from pdp.errors import ExportError
from pdp.model.rules import OF_PAIR, Condition, decode_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.sase.netskope_mapping import Mapped
    from pdp.export.port import Region, Sieve
    from pdp.model.rules import FactValue, Profile, Resource

RULES: Final = "npa-rules.json"
CLIENT: Final = "Client"
# Whom or what a rule is for besides: nobody says what these mean here.
_UNKNOWN: Final = (
    "users", "organization_units", "privateAppIds", "privateAppTags", "privateAppTagIds", "classification",
)  # fmt: skip


class NetskopeReading:
    """The port `Interpreter`."""

    def __init__(self, files: Mapping[str, bytes], mapped: Mapped) -> None:
        self._mapped = mapped
        try:
            self._rules: list[dict[str, Any]] = json.loads(files[RULES])
            model = decode_model(files["model.json"])
            wrong = [fault for rule in self._rules for fault in faults(rule)]
        except (KeyError, ValueError, TypeError, AttributeError) as fault:
            raise ExportError(f"not exported rules of Netskope: {type(fault).__name__}", where=RULES) from None
        if not isinstance(self._rules, list) or wrong:
            raise ExportError(f"Netskope does not take {wrong[0] if wrong else 'this'}", where=RULES)
        if len({rule["rule_name"] for rule in self._rules}) < len(self._rules):
            raise ExportError("two rules have one name", where=RULES)
        self._profiles: dict[str, Profile] = {profile.id: profile for profile in model.profiles}
        self._resources: dict[str, Resource] = {resource.id: resource for resource in model.resources}
        self._countries = {value for fact in model.facts if fact.name == COUNTRY for value in fact.values}
        self._knows_actions = any(fact.name == ACTION for fact in model.facts)
        self._in_group = {group: profile for profile, group in mapped.groups.items()}
        self._set_of = {number: label for label, number in mapped.labels.items()}
        self._zone_of = {name: zone for zone, names in mapped.networks.items() for name in names}
        self._allows = [_data(rule) for rule in self._rules if _action(rule) == "allow"]

    @property
    def given(self) -> Mapping[str, FactValue]:
        return dict(self._mapped.given_here)

    def permitted(self, resource: str, sieve: Sieve) -> Region:
        """As the port says: access to any of the private apps that the mapping says the system is."""
        place = self._mapped.resources.get(resource)
        if place is None:
            return sieve.nothing
        apps = {f"[{one}]".casefold() for one in place.private_apps}
        found = any_of(
            (self._asked(rule, self._resources[resource], sieve) for rule in self._allows if _is_for(rule, apps)),
            sieve,
        )
        if place.action is not None and self._knows_actions:  # whoever comes this way does nothing else
            found &= sieve.where([ACTION], lambda value: bool(value == place.action))
        return found

    def unbound(self, resource: str, control: str, value: str | int, sieve: Sieve) -> Region:
        """As the port says: a rule says nothing of a control, so it is what the mapping says of all of them."""
        del resource
        return sieve.nothing if carried_out(control, value, self._mapped.enforces) else sieve.everything

    def _asked(self, rule: Mapping[str, Any], resource: Resource, sieve: Sieve) -> Region:
        """Whom an allow may be for."""
        found = sieve.everything
        if rule.get("userGroups"):
            found &= any_of((self._group(name, resource, sieve) for name in rule["userGroups"]), sieve)
        labels = rule.get("device_classification_id", [])
        known = [self._label(number, sieve) for number in labels]
        if known and rule.get("access_method") == [CLIENT]:
            found &= any_of(known, sieve)
        return found & self._source(rule, sieve)

    def _group(self, name: str, resource: Resource, sieve: Sieve) -> Region:
        profile = self._profile(self._in_group.get(name, name))
        clear = [Condition(fact, (False,)) for fact in self._mapped.withdrawn]
        return members_here(profile, resource, sieve) & sieve.holding(clear)

    def _label(self, number: int, sieve: Sieve) -> Region:
        label = self._set_of.get(number)
        if label is None:
            raise ExportError(f"nobody says what the device classification `{number}` is", where=RULES)
        meaning = meaning_of(label, self._profile)
        if not self._mapped.one_person_devices and any(one.fact in OF_PAIR for one in meaning):
            raise ExportError(f"the label `{label}` is of a device and a person together", where=RULES)
        return sieve.holding(meaning)

    def _source(self, rule: Mapping[str, Any], sieve: Sieve) -> Region:
        found = sieve.everything
        if not self._mapped.source_ip:
            return found
        if rule.get("net_location_obj") and not rule.get("b_negateNetLocation"):
            zones = {self._zone(name) for name in rule["net_location_obj"]}
            found &= sieve.where([ZONE], lambda value: value in zones)
        if rule.get("srcCountries") and not rule.get("b_negateSrcCountries"):
            countries = {code if code in self._countries else "(other)" for code in rule["srcCountries"]}
            found &= sieve.where([COUNTRY], lambda value: value in countries)
        return found

    def _zone(self, name: str) -> str:
        zone = self._zone_of.get(name)
        if zone is None:
            raise ExportError(f"nobody says what the network `{name}` is", where=RULES)
        return zone

    def _profile(self, profile_id: str) -> Profile:
        profile = self._profiles.get(profile_id)
        if profile is None:
            raise ExportError(f"nobody says who is in `{profile_id}`", where=RULES)
        return profile


def _action(rule: Mapping[str, Any]) -> str:
    return str(rule["rule_data"]["match_criteria_action"]["action_name"])


def _data(rule: Mapping[str, Any]) -> dict[str, Any]:
    held: dict[str, Any] = rule["rule_data"]
    if unknown := [key for key in _UNKNOWN if held.get(key)]:
        raise ExportError(f"nobody says what `{unknown[0]}` of `{rule['rule_name']}` is", where=RULES)
    return held


def _is_for(rule: Mapping[str, Any], apps: set[str]) -> bool:
    """Whether a rule is for one of these private apps; one that names none is for all."""
    named = rule.get("privateApps")
    return not named or any(str(one).casefold() in apps for one in named)
