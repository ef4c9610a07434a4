"""What exported rules of Prisma Access let through, by the vendor's documents, from the files alone.

PAN-OS Administrator's Guide, "Security Policy": a session is held against the rules of its rulebase from top to bottom,
the first rule whose every field matches decides; what no rule matches is denied between zones and *allowed* within
one, so a rulebase that does not end in a deny counts as open here. Within one field any of the names will do. A device
that no HIP profile of a rule describes goes on to the next rule.

Where an allow speaks of something that is no fact (a list of addresses, a product that is not our EDR), it counts as
if it asked for nothing there; a deny counts where it asks for nothing at all. What is not known is refused
(ExportError). Tags and groups mean what `tagging.json` and the profiles of the model say: who sets them goes by those.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.controls import carried_out
from connectors.sase.prisma_calendar import BUSINESS_DAY, BUSINESS_HOURS, moments
from connectors.sase.prisma_mapping import ANY, RESERVED_USERS, covers, meets
from pdp.errors import ExportError
from pdp.model.rules import Condition, conditions_about, decode_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connectors.sase.prisma_mapping import Checks, Mapped, Place
    from pdp.export.port import Region, Sieve
    from pdp.model.rules import FactValue, Profile, Resource

_RULES: Final = "security-rules.json"
_OBJECTS: Final = (
    "address-groups", "dynamic-user-groups", "external-dynamic-lists", "hip-objects", "hip-profiles", "schedules",
    "tagging",
)  # fmt: skip
_DENIES: Final = frozenset({"deny", "drop", "reset-client", "reset-server", "reset-both"})
_KEYS: Final = frozenset(
    {
        "name", "folder", "description", "from", "to", "source", "source_user", "source_hip", "destination",
        "application", "service", "category", "action", "schedule", "log_end", "log_setting",
    }
)  # fmt: skip
_LISTS: Final = ("from", "to", "source", "source_user", "destination", "application", "service", "category")
_REGION: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_FILTER: Final = re.compile(r"'[^']+'( and '[^']+')*", re.ASCII)
_MATCH: Final = re.compile(r'"[^"]+"( and "[^"]+")*', re.ASCII)

Rule = dict[str, Any]


class PrismaReading:
    """The port `Interpreter`."""

    def __init__(self, files: Mapping[str, bytes], mapped: Mapped) -> None:
        self._mapped = mapped
        try:
            self._rules: list[Rule] = json.loads(files[_RULES])
            self._objects = {kind: _by_name(json.loads(files[f"{kind}.json"])) for kind in _OBJECTS}
            model = decode_model(files["model.json"])
            self._refuse_rules()
        except (KeyError, ValueError, TypeError, AttributeError) as fault:
            raise ExportError(f"not an exported Prisma Access: {type(fault).__name__}", where=_RULES) from None
        self._office = model.office
        self._profiles: dict[str, Profile] = {profile.id: profile for profile in model.profiles}
        self._resources: dict[str, Resource] = {resource.id: resource for resource in model.resources}
        self._in_group = {group: profile for profile, group in mapped.groups.items()}
        self._reports = tuple(_reports(mapped.checks))

    @property
    def given(self) -> Mapping[str, FactValue]:
        return dict(self._mapped.given_here)

    def permitted(self, resource: str, sieve: Sieve) -> Region:
        """As the port says: traffic to where the mapping puts the system, through any of the folders."""
        place = self._mapped.resources.get(resource)
        found = sieve.nothing
        if place is None:
            return found
        for folder in self._mapped.folders.values():
            rules = [rule for rule in self._rules if rule["folder"] == folder.folder]
            here = [rule for rule in rules if _comes_by(rule, folder.zones)]
            through = self._first_match(here, place, self._resources[resource], sieve)
            found |= through & sieve.holding([Condition(name, (value,)) for name, value in folder.given.items()])
        return found

    def unbound(self, resource: str, control: str, value: str | int, sieve: Sieve) -> Region:
        """As the port says: the files say nothing of controls, the mapping says what the applications carry out."""
        del resource
        return sieve.nothing if carried_out(control, value, self._mapped.enforces) else sieve.everything

    def _first_match(self, rules: Sequence[Rule], place: Place, resource: Resource, sieve: Sieve) -> Region:
        """INVARIANT (denies): a deny that asks who comes counts for nothing: tags, groups and reports can be late."""
        allowed = sieve.nothing
        for rule in rules:
            if rule["action"] == "allow":
                if all(meets(rule[field], said) for field, said in _fields(place)):
                    allowed |= self._asked(rule, resource, sieve)
            elif _is_bare(rule) and all(covers(rule[field], said) for field, said in _fields(place)):
                return allowed
        return sieve.everything  # within a zone, what no rule matches is allowed

    def _asked(self, rule: Rule, resource: Resource, sieve: Sieve) -> Region:
        """Who may come through an allow: all of its fields, and in each of them any of its names."""
        asked = self._time(rule, sieve)
        for field, region_of in (("source", self._source), ("source_user", self._user), ("source_hip", self._hip)):
            found = sieve.nothing
            for name in rule.get(field, [ANY]):
                found |= sieve.everything if name == ANY else region_of(name, resource, sieve)
            asked &= found
        return asked

    def _source(self, name: str, _: Resource, sieve: Sieve) -> Region:
        group = self._objects["address-groups"].get(name)
        if group is not None:
            return self._tagged(group.get("dynamic", {}).get("filter", ""), sieve)
        if name in self._objects["external-dynamic-lists"] or _REGION.fullmatch(name):
            return sieve.everything  # a list of addresses, a country: nothing about who comes from there
        raise ExportError(f"a source `{name}` is not known", where=_RULES)

    def _user(self, name: str, resource: Resource, sieve: Sieve) -> Region:
        if name in RESERVED_USERS or name in self._objects["dynamic-user-groups"]:
            return sieve.everything  # a tag on a person says nothing about the device at hand
        profile = self._profiles.get(self._in_group.get(name, ""))
        if profile is None:
            raise ExportError(f"a group `{name}` is not known", where=_RULES)
        return sieve.holding(conditions_about(profile, resource))

    def _tagged(self, text: str, sieve: Sieve) -> Region:
        """Everything that all tags of a filter say of a session. Only `and` between tags is known."""
        if _FILTER.fullmatch(text) is None:
            raise ExportError(f"a filter `{text}` is not known", where="address-groups.json")
        found = sieve.everything
        for tag in text[1:-1].split("' and '"):
            told = self._objects["tagging"].get(tag)
            if told is None or told.get("of") != "session":
                raise ExportError(f"nobody sets the tag `{tag}` on a session", where="tagging.json")
            found &= sieve.holding([Condition(one["fact"], tuple(one["values"])) for one in told["all_of"]])
        return found

    def _hip(self, name: str, _: Resource, sieve: Sieve) -> Region:
        """What GlobalProtect has found on a device that matches a HIP profile."""
        match = self._objects["hip-profiles"].get(name, {}).get("match", "")
        if _MATCH.fullmatch(match) is None:
            raise ExportError(f"a HIP profile `{name}` is not known", where="hip-profiles.json")
        found = sieve.everything
        for one in match[1:-1].split('" and "'):
            held = self._objects["hip-objects"].get(one)
            if held is None:
                raise ExportError(f"a HIP object `{one}` is not known", where="hip-objects.json")
            said = {key: part for key, part in held.items() if key not in ("name", "folder", "description")}
            for meaning, fact, value in self._reports:
                if said == meaning:  # another product, one criterion more, a place less: it says nothing
                    found &= sieve.where([fact], lambda is_, value=value: is_ is value)
        return found

    def _time(self, rule: Rule, sieve: Sieve) -> Region:
        name = rule.get("schedule")
        if name is None:
            return sieve.everything
        held = self._objects["schedules"].get(name)
        if held is None:
            raise ExportError(f"a schedule `{name}` is not known", where="schedules.json")
        possible = moments(held, self._office)
        return sieve.where([BUSINESS_DAY, BUSINESS_HOURS], lambda day, hours: (day, hours) in possible)

    def _refuse_rules(self) -> None:
        folders = {folder.folder for folder in self._mapped.folders.values()}
        for rule in self._rules:
            if unknown := sorted(set(rule) - _KEYS):
                raise ExportError(f"a rule with `{unknown[0]}` is not known", where=_RULES)
            if rule["folder"] not in folders:
                raise ExportError(f"a rule in the folder `{rule['folder']}`", where=_RULES)
            if not all(isinstance(rule[field], list) and rule[field] for field in _LISTS):
                raise ExportError("a field without a name", where=_RULES)
            if rule["action"] != "allow" and rule["action"] not in _DENIES:
                raise ExportError(f"an action `{rule['action']}` is not known", where=_RULES)


def _by_name(held: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Objects by their names; two of one name could hide one another. Raises ExportError."""
    found = {one["name"]: one for one in held}
    if len(found) != len(held):
        raise ExportError("two objects have one name", where=_RULES)
    return found


def _reports(checks: Checks) -> Iterator[tuple[dict[str, Any], str, bool]]:
    """HIP objects whose match is a fact about the device, by GlobalProtect's documents; and the fact."""
    if checks.edr is not None:
        product = {"product": list(checks.edr.product)} if checks.edr.product else {}
        running = {
            "criteria": {"is_installed": True, "real_time_protection": "yes"},
            "vendor": [{"name": checks.edr.vendor, **product}],
        }
        yield {"anti_malware": running}, "device.posture.edr_running", True
    whole = {"name": "All", "encryption_state": {"is": "encrypted"}}
    disk = {"criteria": {"is_installed": True, "encrypted_locations": [whole]}}
    yield {"disk_encryption": disk}, "device.posture.disk_encrypted", True
    if checks.certificate_profile is not None:
        valid = {"criteria": {"certificate_profile": checks.certificate_profile}}
        yield {"certificate": valid}, "device.posture.certificate", True
    yield {"mobile_device": {"criteria": {"jailbroken": False}}}, "device.posture.tampered", False
    yield {"mobile_device": {"criteria": {"passcode_set": True}}}, "device.posture.screen_lock", True


def _comes_by(rule: Rule, zones: Sequence[str]) -> bool:
    """Whether a rule is for a folder's zones: an allow for any of them, a deny for all."""
    return meets(rule["from"], zones) if rule["action"] == "allow" else covers(rule["from"], zones)


def _fields(place: Place) -> tuple[tuple[str, Sequence[str]], ...]:
    return (
        ("destination", place.destination),
        ("application", place.application),
        ("service", place.service),
        ("category", place.category),
        ("to", place.to),
    )


def _is_bare(rule: Rule) -> bool:
    """Whether a rule asks nothing of who comes."""
    asked = (rule["source"], rule["source_user"], rule.get("source_hip", [ANY]))
    return all(names == [ANY] for names in asked) and "schedule" not in rule
