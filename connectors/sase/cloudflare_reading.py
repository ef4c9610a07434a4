"""What exported policies of Cloudflare Access let through, by the vendor's documents, from the files alone.

Cloudflare One, "Access policies": Service Auth and Bypass policies are looked at first, then Allow and Block from the
top, and the first that matches decides; what none matches is denied. A policy matches whoever meets one selector of
`include`, all of `require` and none of `exclude`. "Device posture": a result without an expiration stays valid until
another takes its place, so a check that cannot expire within an hour says nothing about now.

For every selector there is who meets it *for certain* and who *possibly* does. An allow counts for all who possibly
match it, a block for those who certainly do; `exclude` turns the two around. What is not known is refused
(ExportError). Sets mean what `sets.json` says of the connection that the posture rule asks, groups what the profiles
of the model say. A private address that Gateway does not block for everybody is open to everybody.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.cloudflare_gateway import GATEWAY, reaches, refuse_rules
from connectors.sase.cloudflare_mapping import MAX_EXPIRATION_MINUTES, MAX_SESSION_MINUTES
from connectors.sase.controls import SESSION_MAX, carried_out
from connectors.sase.saying import COUNTRY, LEVEL, ZONE
from pdp.errors import ExportError
from pdp.model.rules import OF_PAIR, Condition, conditions_about, decode_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from connectors.sase.cloudflare_mapping import Mapped
    from pdp.export.port import Region, Sieve
    from pdp.model.rules import FactValue, Profile, Resource

POLICIES: Final = "access-policies.json"
APPLICATIONS: Final = "applications.json"
POSTURE: Final = "posture-rules.json"
SETS: Final = "sets.json"
BROWSER_ONLY: Final = "browser_only"  # carried out by Browser Isolation, where a policy asks for it
HOME: Final = "JP"  # the one country that the policy names; what we say of any other may be true of `(other)`
_POLICY_KEYS: Final = frozenset(
    {"name", "decision", "include", "require", "exclude", "session_duration", "isolation_required"}
)
_APPLICATION_KEYS: Final = frozenset(
    {
        "name", "type", "domain", "allowed_idps", "allow_authenticate_via_warp", "options_preflight_bypass",
        "session_duration", "policies",
    }
)  # fmt: skip
_FIRST: Final = frozenset({"non_identity", "bypass"})
_MINUTES: Final = re.compile(r"([1-9][0-9]{0,5})m", re.ASCII)

Policy = dict[str, Any]
Both = tuple["Region", "Region"]  # who meets a selector for certain, and who possibly does


class CloudflareReading:
    """The port `Interpreter`."""

    def __init__(self, files: Mapping[str, bytes], mapped: Mapped) -> None:
        self._mapped = mapped
        try:
            held: list[Policy] = json.loads(files[POLICIES])
            self._policies = {policy["name"]: policy for policy in held}
            self._applications: list[dict[str, Any]] = [one["body"] for one in json.loads(files[APPLICATIONS])]
            posture, sets = json.loads(files[POSTURE]), json.loads(files[SETS])
            self._posture: dict[str, dict[str, Any]] = {one["rule_id"]: one["body"] for one in posture}
            self._kept: dict[str, list[dict[str, Any]]] = {one["connection"]: one["all_of"] for one in sets}
            self._gateway: list[dict[str, Any]] = json.loads(files[GATEWAY])
            model = decode_model(files["model.json"])
            if (len(self._policies), len(self._posture), len(self._kept)) != (len(held), len(posture), len(sets)):
                raise ExportError("two policies, posture rules or sets of one name", where=POLICIES)
            self._refuse(held)
            refuse_rules(self._gateway)
        except (KeyError, ValueError, TypeError, AttributeError) as fault:
            raise ExportError(f"not an exported Cloudflare Access: {type(fault).__name__}", where=POLICIES) from None
        self._profiles: dict[str, Profile] = {profile.id: profile for profile in model.profiles}
        self._resources: dict[str, Resource] = {resource.id: resource for resource in model.resources}
        self._in_group = {group: profile for profile, group in mapped.groups.items()}
        self._zone_of = {listed: zone for zone, listed in mapped.zones.items()}
        self._level_of = {one.auth_method: one.level for one in mapped.authentication}

    @property
    def given(self) -> Mapping[str, FactValue]:
        return dict(self._mapped.given_here)

    def permitted(self, resource: str, sieve: Sieve) -> Region:
        """As the port says: through the applications at, above or below the system's address, or past them."""
        place = self._mapped.resources.get(resource)
        found = sieve.nothing
        if place is None:
            return found
        if any(reaches(self._gateway, address) for address in place.private):
            return sieve.everything
        for application in self._applications:
            if _lie_within(application["domain"], place.domain):
                found |= self._through(application, resource, sieve)
        return found

    def unbound(self, resource: str, control: str, value: str | int, sieve: Sieve) -> Region:
        """As the port says: sessions by their length, isolation where a policy has it; the rest the mapping says."""
        if carried_out(control, value, self._mapped.enforces) and control != BROWSER_ONLY:
            return sieve.nothing
        if control not in self._mapped.enforces or control not in (SESSION_MAX, BROWSER_ONLY):
            return sieve.everything
        place = self._mapped.resources.get(resource)
        found = sieve.nothing
        for application in self._applications if place is not None else ():
            if place is not None and _lie_within(application["domain"], place.domain):
                found |= self._through(application, resource, sieve, _lax(control, value))
        return found

    def _through(
        self,
        application: Mapping[str, Any],
        resource: str,
        sieve: Sieve,
        counts: Callable[[Policy], bool] | None = None,
    ) -> Region:
        """What comes through the policies of an application, by those of its allows that count: all, or some."""
        allowed, denied = sieve.nothing, sieve.nothing
        for policy in self._in_order(application):
            certain, possible = self._matching(policy, self._resources[resource], sieve)
            if policy["decision"] == "deny":
                denied |= certain
            elif counts is None or counts(policy):
                allowed |= possible & ~denied
        return allowed

    def _in_order(self, application: Mapping[str, Any]) -> list[Policy]:
        links = sorted(application["policies"], key=lambda link: int(link["precedence"]))
        policies = [self._policies[link["id"]] for link in links]
        return sorted(policies, key=lambda policy: policy["decision"] not in _FIRST)  # stable: else as they stand

    def _matching(self, policy: Policy, resource: Resource, sieve: Sieve) -> Both:
        def read(field: str) -> list[Both]:
            return [self._selector(one, resource, sieve) for one in policy.get(field, ())]

        certain, possible = sieve.nothing, sieve.nothing
        for surely, maybe in read("include"):
            certain, possible = certain | surely, possible | maybe
        for surely, maybe in read("require"):
            certain, possible = certain & surely, possible & maybe
        for surely, maybe in read("exclude"):
            certain, possible = certain & ~maybe, possible & ~surely
        return certain, possible

    # Selectors.

    def _selector(self, one: Mapping[str, Any], resource: Resource, sieve: Sieve) -> Both:
        if len(one) != 1:
            raise ExportError("a selector has one kind", where=POLICIES)
        ((kind, said),) = one.items()
        if kind == "everyone":
            return sieve.everything, sieve.everything
        if kind == "login_method" and said == {"id": self._mapped.identity_provider}:
            return sieve.nothing, sieve.everything
        if kind == "azureAD":
            return sieve.nothing, self._group(said, resource, sieve)  # a group may be filled late
        if kind == "device_posture":
            return sieve.nothing, self._checked(said["integration_uid"], sieve)  # a device may report nothing
        if kind == "auth_method" and said["auth_method"] in self._level_of:
            level = self._level_of[said["auth_method"]]
            return sieve.nothing, sieve.where([LEVEL], lambda value: value >= level)
        return self._address(kind, said, sieve)

    def _address(self, kind: str, said: Mapping[str, str], sieve: Sieve) -> Both:
        """Where a request comes from."""
        if kind == "ip_list" and said["id"] in self._zone_of:
            zone = self._zone_of[said["id"]]
            here = sieve.where([ZONE], lambda value: value == zone)
            return here, here
        if kind != "geo":
            raise ExportError(f"a selector `{kind}` is not known, or its id", where=POLICIES)
        code = said["country_code"]
        if code == HOME:
            here = sieve.where([COUNTRY], lambda value: value == HOME)
            return here, here
        return sieve.nothing, sieve.where([COUNTRY], lambda value: value in (code, "(other)"))

    def _group(self, said: Mapping[str, str], resource: Resource, sieve: Sieve) -> Region:
        profile = self._profiles.get(self._in_group.get(said["id"], ""))
        if profile is None or said["identity_provider_id"] != self._mapped.identity_provider:
            raise ExportError("a group is not known", where=POLICIES)
        return sieve.holding(conditions_about(profile, resource))

    def _checked(self, rule_id: str, sieve: Sieve) -> Region:
        """The devices that may pass a posture rule at a moment."""
        body = self._posture.get(rule_id)
        if body is None:
            raise ExportError("a posture rule is not known", where=POSTURE)
        asked = body["input"]
        if body["type"] != "custom_s2s" or asked["connection_id"] not in self._kept:
            raise ExportError("a posture rule asks what is not known", where=POSTURE)
        ends, comes = _minutes(body.get("expiration")), _minutes(body.get("schedule"))
        if ends is None or comes is None or not comes < ends <= MAX_EXPIRATION_MINUTES:
            return sieve.everything  # what was true once passes for ever
        members = [Condition(one["fact"], tuple(one["values"])) for one in self._kept[asked["connection_id"]]]
        if not self._mapped.one_person_devices and any(one.fact in OF_PAIR for one in members):
            raise ExportError("a posture rule is of a device and a person together", where=SETS)
        return self._scored(asked, sieve.holding(members), sieve)

    @staticmethod
    def _scored(asked: Mapping[str, Any], members: Region, sieve: Sieve) -> Region:
        """A member has the score 100, any other 0."""

        def passes(score: int) -> bool:
            wanted = float(asked["score"])
            return {
                "==": score == wanted,
                ">=": score >= wanted,
                ">": score > wanted,
                "<=": score <= wanted,
                "<": score < wanted,
            }[asked["operator"]]

        found = members if passes(100) else sieve.nothing
        return found | ~members if passes(0) else found

    # What is refused.

    def _refuse(self, held: Sequence[Policy]) -> None:
        for fault in (*self._policy_faults(held), *self._application_faults()):
            raise ExportError(fault, where=POLICIES)

    def _policy_faults(self, held: Sequence[Policy]) -> Iterator[str]:
        for policy in held:
            if unknown := sorted(set(policy) - _POLICY_KEYS):
                yield f"a policy with `{unknown[0]}` is not known"
            if policy["decision"] not in {"allow", "deny", *_FIRST}:
                yield f"a decision `{policy['decision']}` is not known"
            if not policy["include"]:
                yield "a policy that includes nobody"
            session = _minutes(policy.get("session_duration"))
            if policy["decision"] == "allow" and (session is None or session > MAX_SESSION_MINUTES):
                yield "an allow whose session has no end within a day"

    def _application_faults(self) -> Iterator[str]:
        domains = [one["domain"] for one in self._applications]
        if len(set(domains)) != len(domains):
            yield "two applications at one address"
        if any("*" in domain for domain in domains):
            yield "an application for addresses that are not named"
        for one in self._applications:
            if unknown := sorted(set(one) - _APPLICATION_KEYS):
                yield f"an application with `{unknown[0]}` is not known"
            if one["type"] != "self_hosted" or one["options_preflight_bypass"] or one["allow_authenticate_via_warp"]:
                yield "an application that lets requests through without a login"
            order = [link["precedence"] for link in one["policies"]]
            if len(set(order)) != len(order):
                yield "two policies of one precedence"
            if any(link["id"] not in self._policies for link in one["policies"]):
                yield "an application with a policy that is not known"


def _lax(control: str, value: str | int) -> Callable[[Policy], bool]:
    """Whether a policy lets people through with less than this control."""

    def is_lax(policy: Policy) -> bool:
        if control == BROWSER_ONLY:
            return policy.get("isolation_required") is not True
        session = _minutes(policy.get("session_duration"))
        return session is None or not isinstance(value, int) or session > value

    return is_lax


def _minutes(text: str | None) -> int | None:
    """Minutes of a duration as they are exported; None for any other."""
    found = _MINUTES.fullmatch(text or "")
    return int(found[1]) if found else None


def _lie_within(domain: str, other: str) -> bool:
    """Whether an address is the other, above it or below it. Attack: an open application for one path of a system."""
    ours, theirs = domain.casefold().rstrip("/") + "/", other.casefold().rstrip("/") + "/"
    return ours.startswith(theirs) or theirs.startswith(ours)
