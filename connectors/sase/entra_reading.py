"""What exported Conditional Access policies let through, by Microsoft's own documents, from the files alone.

Entra evaluates all policies that apply to a sign-in: every one has to be satisfied, one block is a denial, and where
none applies access is open (Microsoft Learn, "Building a Conditional Access policy"). A policy applies where all of
its conditions do; what is excluded goes before what is included. All attributes of a device that Entra does not know
are null: a positive operator is false for it, so a filter that includes misses it and one that excludes does not
("Filter for devices"). Extension attributes count only for devices that are managed, compliant or hybrid joined: where
a filter excludes, the tenant is narrower than this reading; one that includes is not relied on at all. Report-only
policies are read as they are once they are switched on.

What this reading does not know it refuses (ExportError): another key, control or operator, a policy that is on or off,
one that does not exclude the break-glass group. Of `model.json` it takes the profiles and the systems.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from connectors.sase.controls import carried_out
from connectors.sase.saying import ACTION, LEVEL
from pdp.errors import ExportError
from pdp.model.rules import OF_PAIR, Condition, decode_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from connectors.sase.entra_mapping import Mapped
    from pdp.export.port import Region, Sieve
    from pdp.model.rules import FactValue, Profile, Resource

_FILE: Final = "policies.json"
_SETS: Final = "sets.json"
_ALL: Final = "All"
_MAX_POLICIES: Final = 195
_WORD: Final = re.compile(r'device\.(extensionAttribute\d+) -contains "([a-z0-9_.-]+)"', re.ASCII)


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a policy of which every key is known."""


class _Applications(_Strict, frozen=True):
    includeApplications: tuple[str, ...]  # noqa: N815  # the names are Microsoft's, here and below


class _Users(_Strict, frozen=True):
    excludeGroups: tuple[str, ...]  # noqa: N815
    includeUsers: tuple[str, ...] = ()  # noqa: N815
    includeGroups: tuple[str, ...] = ()  # noqa: N815


class _Locations(_Strict, frozen=True):
    includeLocations: tuple[str, ...]  # noqa: N815
    excludeLocations: tuple[str, ...] = ()  # noqa: N815


class _Filter(_Strict, frozen=True):
    mode: str
    rule: str


class _Devices(_Strict, frozen=True):
    deviceFilter: _Filter  # noqa: N815


class _Conditions(_Strict, frozen=True):
    clientAppTypes: tuple[str, ...]  # noqa: N815
    applications: _Applications
    users: _Users
    locations: _Locations | None = None
    devices: _Devices | None = None


class _Strength(_Strict, frozen=True):
    id: str


class _Grant(_Strict, frozen=True):
    operator: str
    builtInControls: tuple[str, ...]  # noqa: N815
    authenticationStrength: _Strength | None = None  # noqa: N815


class _Policy(_Strict, frozen=True):
    displayName: str  # noqa: N815
    description: str
    state: str
    conditions: _Conditions
    grantControls: _Grant  # noqa: N815


class _Meaning(_Strict, frozen=True):
    """What this service puts into a group or says by a word: all of these conditions, and all of these profiles."""

    all_of: tuple[Condition, ...]
    profiles: tuple[str, ...]
    ja: str


class _SetsFile(_Strict, frozen=True):
    attribute: str
    one_person_devices: bool
    devices: dict[str, _Meaning]
    groups: dict[str, _Meaning]


class EntraReading:
    """The port `Interpreter`."""

    def __init__(self, files: Mapping[str, bytes], mapped: Mapped) -> None:
        self._mapped = mapped
        try:
            self._policies = msgspec.json.decode(files[_FILE], type=list[_Policy])
            self._sets = msgspec.json.decode(files[_SETS], type=_SetsFile)
            model = decode_model(files["model.json"])
        except (KeyError, msgspec.DecodeError) as fault:
            raise ExportError(f"not exported policies: {fault}", where=_FILE) from None
        self._profiles: dict[str, Profile] = {profile.id: profile for profile in model.profiles}
        self._resources: dict[str, Resource] = {one.id: one for one in model.resources}
        for policy in self._policies:
            _refuse_unknown(policy, mapped)
        if len(self._policies) > _MAX_POLICIES or len({one.displayName for one in self._policies}) < len(
            self._policies
        ):
            raise ExportError(f"{_MAX_POLICIES} policies at most, each with a name of its own", where=_FILE)
        self._refuse_sets()

    @property
    def given(self) -> Mapping[str, FactValue]:
        return dict(self._mapped.given_here)

    def permitted(self, resource: str, sieve: Sieve) -> Region:
        """As the port says. A system that the mapping leaves out is not reached by a sign-in at this tenant."""
        application = self._mapped.applications.get(resource)
        if application is None:
            return sieve.nothing
        found = sieve.everything  # open, until a policy applies
        if application.action is not None:
            found &= sieve.where([ACTION], _is(application.action))
        for policy in self._policies:
            if application.id in policy.conditions.applications.includeApplications:
                found &= ~self._applies(policy, resource, sieve) | self._satisfied(policy, sieve)
        return found

    def unbound(self, resource: str, control: str, value: str | int, sieve: Sieve) -> Region:
        """As the port says: the files say nothing of controls, the mapping says what the applications carry out."""
        del resource
        return sieve.nothing if carried_out(control, value, self._mapped.enforces) else sieve.everything

    def _applies(self, policy: _Policy, resource: str, sieve: Sieve) -> Region:
        """To these people, at these places, on these devices. The break-glass group is nobody of the register."""
        users = policy.conditions.users
        found = sieve.everything if users.includeUsers else self._in_groups(users.includeGroups, resource, sieve)
        found &= ~self._in_groups(users.excludeGroups, resource, sieve)
        if policy.conditions.locations is not None:
            locations = policy.conditions.locations
            everywhere = locations.includeLocations == (_ALL,)
            found &= sieve.everything if everywhere else self._at(locations.includeLocations, sieve)
            found &= ~self._at(locations.excludeLocations, sieve)
        if policy.conditions.devices is not None:
            said = policy.conditions.devices.deviceFilter
            matching = self._matching(said.rule, sieve)
            # Attack: a device whose attributes Entra does not see slips past a filter that includes.
            found &= sieve.nothing if said.mode == "include" else ~matching
        return found

    def _satisfied(self, policy: _Policy, sieve: Sieve) -> Region:
        strength = policy.grantControls.authenticationStrength
        if strength is None:
            return sieve.nothing  # block
        for level, said in self._mapped.strengths.levels.items():
            if said == strength.id:
                return sieve.where([LEVEL], _at_least(level))
        raise ExportError(f"the mapping knows no strength `{strength.id}`", where=_FILE)

    def _in_groups(self, groups: Sequence[str], resource: str, sieve: Sieve) -> Region:
        found = sieve.nothing
        for group in groups:
            if group == self._mapped.break_glass:
                continue
            if group not in self._sets.groups:
                raise ExportError(f"nobody fills the group `{group}`", where=_FILE)
            found |= self._members(self._sets.groups[group], self._resources[resource], sieve)
        return found

    def _at(self, locations: Sequence[str], sieve: Sieve) -> Region:
        found = sieve.nothing
        for location in locations:
            of = [
                (fact, value) for fact, held in self._mapped.places.items() for value in held if held[value] == location
            ]
            if not of:
                raise ExportError(f"the mapping knows no location `{location}`", where=_FILE)
            found |= sieve.where([of[0][0]], _is(of[0][1]))
        return found

    def _matching(self, rule: str, sieve: Sieve) -> Region:
        """Any of these words is in the attribute: a positive operator, so false for a device without attributes."""
        found = sieve.nothing
        for part in rule.split(" -or "):
            said = _WORD.fullmatch(part)
            if said is None or said[1] != self._sets.attribute or said[2] not in self._sets.devices:
                raise ExportError(f"a device filter `{part}` is not known", where=_FILE)
            found |= self._members(self._sets.devices[said[2]], None, sieve)
        return found

    def _members(self, meaning: _Meaning, resource: Resource | None, sieve: Sieve) -> Region:
        found = sieve.holding(meaning.all_of)
        for name in meaning.profiles:
            profile = self._profiles.get(name)
            if profile is None:
                raise ExportError(f"there is no profile `{name}`", where=_SETS)
            # Attack: the group of another system's departments, whose members are `first` and `later` over there.
            of_resource = () if resource is None else resource.departments
            if profile.departments and profile.departments != of_resource:
                raise ExportError(f"`{name}` is of other departments than the system's", where=_FILE)
            if profile.organisations and (resource is None or profile.organisations != resource.organisations):
                raise ExportError(f"`{name}` is of other organisations than the system's", where=_FILE)
            found &= sieve.members(profile)
        return found

    def _refuse_sets(self) -> None:
        """Attack: a word within another one, found by `-contains`; and a device's word for what is true of a pair."""
        words = sorted(self._sets.devices)
        if any(one != other and one in other for one in words for other in words):
            raise ExportError("a word of the attribute is within another one", where=_SETS)
        if self._sets.attribute != self._mapped.attribute:
            raise ExportError(f"the attribute is not `{self._mapped.attribute}`", where=_SETS)
        for word, meaning in self._sets.devices.items():
            asked = [
                one for name in meaning.profiles if name in self._profiles for one in self._profiles[name].conditions
            ]
            if not self._mapped.one_person_devices and any(one.fact in OF_PAIR for one in (*asked, *meaning.all_of)):
                raise ExportError(f"`{word}` is of a device and a person together", where=_SETS)


def _refuse_unknown(policy: _Policy, mapped: Mapped) -> None:
    name, conditions, grant = policy.displayName, policy.conditions, policy.grantControls
    if policy.state != "enabledForReportingButNotEnforced":
        raise ExportError(f"`{name}` is not report-only", where=_FILE)
    if mapped.break_glass not in conditions.users.excludeGroups:
        raise ExportError(f"`{name}` does not exclude the break-glass group", where=_FILE)
    if bool(conditions.users.includeUsers) == bool(conditions.users.includeGroups):
        raise ExportError(f"`{name}` is for all users or for groups, not for both", where=_FILE)
    if conditions.users.includeUsers not in ((), (_ALL,)) or mapped.break_glass in conditions.users.includeGroups:
        raise ExportError(f"`{name}` names users that are not known", where=_FILE)
    if conditions.clientAppTypes != ("all",):
        raise ExportError(f"`{name}` misses some kinds of clients", where=_FILE)
    if conditions.devices is not None and conditions.devices.deviceFilter.mode not in ("include", "exclude"):
        raise ExportError(f"`{name}` has a device filter of a mode that is not known", where=_FILE)
    if grant.operator not in ("AND", "OR"):  # a plain string in Microsoft's schema: nobody else refuses it
        raise ExportError(f"`{name}` has an operator `{grant.operator}`", where=_FILE)
    blocks = grant.builtInControls == ("block",)
    if blocks == (grant.authenticationStrength is not None) or (grant.builtInControls and not blocks):
        raise ExportError(f"`{name}` blocks, or asks for one strength, and nothing else", where=_FILE)


def _is(value: str) -> Callable[[FactValue], bool]:
    return lambda held: held == value


def _at_least(level: int) -> Callable[[FactValue], bool]:
    return lambda held: isinstance(held, int) and not isinstance(held, bool) and held >= level
