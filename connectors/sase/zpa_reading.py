"""What exported access rules of ZPA let through, by the vendor's documents, from the files alone.

Rules are held against an access from top to bottom; the first that matches decides; what no rule matches is denied
(help.zscaler.com, "About Access Policy"). Blocks of conditions are joined by the rule's operator, operands by the
block's. How several entries of one operand are joined is told nowhere clearly: in an allow any of them counts as
enough. A deny counts only where it asks for nothing but segments, because an agent or a group may answer late.

Where a rule speaks of something that is no fact (a platform, a type of client, a failed check), an allow counts as if
it asked for nothing there. What is not known at all is refused (ExportError). Ids mean what the mapping says.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.controls import carried_out
from connectors.sase.regions import all_of, any_of, members_here
from connectors.sase.saying import ACTION, COUNTRY, ZONE, of_class, value_text
from connectors.sase.zpa_schema import faults
from pdp.errors import ExportError
from pdp.model.rules import OF_PAIR, decode_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.sase.zpa_mapping import Mapped
    from pdp.export.port import Region, Sieve
    from pdp.model.rules import FactValue, Profile, Resource

_RULES: Final = "access-rules.json"
_NO_FACT: Final = frozenset({"PLATFORM", "CLIENT_TYPE"})


class ZpaReading:
    """The port `Interpreter`."""

    def __init__(self, files: Mapping[str, bytes], mapped: Mapped) -> None:
        self._mapped = mapped
        try:
            self._rules: list[dict[str, Any]] = json.loads(files[_RULES])
            model = decode_model(files["model.json"])
            wrong = [fault for rule in self._rules for fault in faults(rule)]
        except (KeyError, ValueError, TypeError, AttributeError) as fault:
            raise ExportError(f"not exported rules of ZPA: {type(fault).__name__}", where=_RULES) from None
        if wrong:
            raise ExportError(f"ZPA does not take {wrong[0]}", where=_RULES)
        names = [rule["name"] for rule in self._rules]
        if len(set(names)) < len(names):
            raise ExportError("two rules have one name", where=_RULES)
        self._profiles: dict[str, Profile] = {profile.id: profile for profile in model.profiles}
        self._resources: dict[str, Resource] = {resource.id: resource for resource in model.resources}
        self._countries = {value for fact in model.facts if fact.name == COUNTRY for value in fact.values}
        self._knows_actions = any(fact.name == ACTION for fact in model.facts)
        self._in_group = {group: profile for profile, group in mapped.groups.items()}
        self._passing = {check: profile for profile, check in mapped.sets.items()}
        self._class_of = {device.posture: name for name, device in mapped.classes.items()}
        self._fact_of: dict[tuple[str, str], str] = {
            (one.kind, one.id): fact for fact, one in mapped.attributes.items()
        }
        self._zone_of = {network: zone for zone, ids in mapped.networks.items() for network in ids}

    @property
    def given(self) -> Mapping[str, FactValue]:
        return dict(self._mapped.given_here)

    def permitted(self, resource: str, sieve: Sieve) -> Region:
        """As the port says: access to any of the segments that the mapping says the system is."""
        place = self._mapped.resources.get(resource)
        found = sieve.nothing
        if place is None:
            return found
        for segment in place.segments:
            found |= self._first_match(segment, self._resources[resource], sieve)
        if place.action is not None and self._knows_actions:  # whoever comes this way does nothing else
            found &= sieve.where([ACTION], lambda value: bool(value == place.action))
        return found

    def unbound(self, resource: str, control: str, value: str | int, sieve: Sieve) -> Region:
        """As the port says: the files say nothing of controls, the mapping says what the applications carry out."""
        del resource
        return sieve.nothing if carried_out(control, value, self._mapped.enforces) else sieve.everything

    def _first_match(self, segment: str, resource: Resource, sieve: Sieve) -> Region:
        allowed = sieve.nothing
        for rule in self._rules:
            if rule["action"] == "DENY":
                if _denies_all(rule, segment):
                    return allowed
            elif rule["action"] == "ALLOW":
                if _is_elsewhere(rule, segment):
                    continue
                allowed |= self._asked(rule, segment, resource, sieve)
            else:
                raise ExportError(f"an action `{rule['action']}` is not known", where=_RULES)
        return allowed

    def _asked(self, rule: Mapping[str, Any], segment: str, resource: Resource, sieve: Sieve) -> Region:
        """Whom an allow may be for."""
        blocks = [
            _joined(
                block["operator"],
                [self._operand(operand, segment, resource, sieve) for operand in block["operands"]],
                sieve,
            )
            for block in rule["conditions"]
        ]
        return _joined(rule["operator"], blocks, sieve) if blocks else sieve.everything

    def _operand(self, operand: Mapping[str, Any], segment: str, resource: Resource, sieve: Sieve) -> Region:
        kind = operand["objectType"]
        if kind == "APP":
            return sieve.everything if segment in operand["values"] else sieve.nothing
        if kind in _NO_FACT:
            return sieve.everything
        if "entryValues" not in operand:
            raise ExportError(f"nobody says who is in `{kind}`", where=_RULES)
        return _joined(
            "OR", [self._entry(kind, one["lhs"], one["rhs"], resource, sieve) for one in operand["entryValues"]], sieve
        )

    def _entry(self, kind: str, left: str, right: str, resource: Resource, sieve: Sieve) -> Region:
        if kind == "SCIM_GROUP" and left == self._mapped.idp and right in self._in_group:
            return members_here(self._profile(self._in_group[right]), resource, sieve)
        if kind in ("POSTURE", "TRUSTED_NETWORK") and right == "false":
            return sieve.everything  # a check that nobody made may count as failed
        if kind == "POSTURE" and left in self._class_of:
            return sieve.holding([of_class(self._class_of[left])])
        if kind == "POSTURE" and left in self._passing:
            return self._checked(self._profile(self._passing[left]), sieve)
        return self._of_session(kind, left, right, sieve)

    def _checked(self, profile: Profile, sieve: Sieve) -> Region:
        if not self._mapped.one_person_devices and any(one.fact in OF_PAIR for one in profile.conditions):
            raise ExportError(f"the check of `{profile.id}` is of a device and a person together", where=_RULES)
        return sieve.members(profile)

    def _of_session(self, kind: str, left: str, right: str, sieve: Sieve) -> Region:
        if kind == "TRUSTED_NETWORK" and left in self._zone_of:
            zone = self._zone_of[left]
            return sieve.where([ZONE], lambda value: bool(value == zone))
        if kind == "COUNTRY_CODE":
            country = left if left in self._countries else "(other)"
            return sieve.where([COUNTRY], lambda value: bool(value == country))
        if (kind, left) in self._fact_of:
            return sieve.where([self._fact_of[kind, left]], lambda value: value_text(value) == right)
        raise ExportError(f"nobody says what `{kind}` `{left}` is", where=_RULES)

    def _profile(self, profile_id: str) -> Profile:
        profile = self._profiles.get(profile_id)
        if profile is None:
            raise ExportError(f"nobody says who is in `{profile_id}`", where=_RULES)
        return profile


def _joined(operator: str, regions: Sequence[Region], sieve: Sieve) -> Region:
    return all_of(regions, sieve) if operator == "AND" else any_of(regions, sieve)


def _is_elsewhere(rule: Mapping[str, Any], segment: str) -> bool:
    """Whether an allow plainly asks for other segments: one of the blocks that it joins by AND names no other thing."""
    return rule["operator"] == "AND" and any(
        block["operands"]
        and all(one["objectType"] == "APP" and segment not in one["values"] for one in block["operands"])
        for block in rule["conditions"]
    )


def _denies_all(rule: Mapping[str, Any], segment: str) -> bool:
    """Whether a deny matches whoever comes to a segment."""
    return all(
        [operand["objectType"] for operand in block["operands"]] == ["APP"]
        and segment in block["operands"][0]["values"]
        for block in rule["conditions"]
    )
