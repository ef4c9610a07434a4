"""The rule model: what a policy allows, as vendor-neutral rules that targets of `pdp export` are written from.

Every rule is an allow and stands alone: it allows where all of its conditions hold, whatever other rules say, and
what no rule allows is denied. So the order of rules never matters, and a rule can be left out without widening
anything. A condition that cannot be said to a vendor is never dropped: the rule is left out (docs/export.md).
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final, Literal

import msgspec

SCHEMA: Final = "sekisho.rules/v1"

# Facts of a device and a person together: what is filled for each device can say them only where nobody but one
# person signs in on it. Attack: a loan to one person, told as a property of the machine, holds for whoever picks it up.
OF_PAIR: Final = frozenset({"device.relation", "device.loan", "device.permit"})

FactValue = str | int | bool
Section = Literal[
    "user", "authentication", "device", "posture", "network", "time", "risk", "action", "enforcement", "resource"
]
Mode = Literal["ordinary", "disaster", "degraded"]


class Words(msgspec.Struct, frozen=True):
    """One text in both languages."""

    ja: str
    en: str


class Condition(msgspec.Struct, frozen=True, order=True):
    """A fact is one of these values. Never all of its values, and never none.

    `fact` as in the decision space (docs/decision-space.md): `device.class`, `device.posture.age_hours` with pieces of
    numbers as values (`0-23`, `24`, `25+`), `subject.roles∋data_user` with true and false, `departments` with `first`
    and `later`. Values stand in the fact's own order.
    """

    fact: str
    values: tuple[FactValue, ...]


class Fact(msgspec.Struct, frozen=True):
    """A fact of the model: its section, every value it can have in order, and what people call both."""

    name: str
    section: Section
    values: tuple[FactValue, ...]
    title: Words
    words: tuple[Words, ...]  # of the values, in their order


class Resource(msgspec.Struct, frozen=True):
    """One system, as it stands on the day of the model. `given` are its own facts, which no rule repeats."""

    id: str
    title: Words
    group: str
    segment: str
    status: str
    departments: tuple[str, ...]  # that it is for; none: for all
    organisations: tuple[str, ...]  # whose data it is, where a rule asks for that
    given: tuple[Condition, ...]


class Profile(msgspec.Struct, frozen=True):
    """Conditions of one section that several rules have in common: who, which device, which posture.

    What a vendor calls a group, a tag or a posture profile. `departments` and `organisations` belong to a condition on
    the fact of that name: being in one of them is what it asks for. The id is made of the contents.
    """

    id: str  # `users-1a2b3c4d`, `device-…`, `posture-…`: lower-case ASCII, 16 characters at most
    section: Section
    conditions: tuple[Condition, ...]
    title: Words
    departments: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()


def conditions_about(profile: Profile, resource: Resource) -> tuple[Condition, ...]:
    """What a set of people says of its members where this system is asked for.

    Attack: the group of another system's departments (or organisations), whose members are `first` and `later` over
    there and strangers here. What is not about this system's own is left out of what they are known to be.
    """
    return tuple(one for one in profile.conditions if _is_about(one, profile, resource))


def _is_about(condition: Condition, profile: Profile, resource: Resource) -> bool:
    if condition.fact == "departments":
        return bool(profile.departments) and set(profile.departments) <= set(resource.departments)
    if condition.fact == "organisation":
        return bool(profile.organisations) and set(profile.organisations) <= set(resource.organisations)
    return True


class Reason(msgspec.Struct, frozen=True):
    """A reason code that stands in a trace: the line of Rego that gives it, and what it says to an administrator."""

    code: str
    line: str  # `rules/pdp/device_class.rego:63`
    title: Words


class Trace(msgspec.Struct, frozen=True):
    """Why a rule has a condition: the reason codes that the policy gives where the fact has another value."""

    fact: str
    codes: tuple[str, ...]


class Rule(msgspec.Struct, frozen=True):
    """Allows `resource` to devices of one class where all conditions hold.

    `users`, `device` and `posture` name profiles, or are empty where nothing is asked; their conditions are not
    repeated in `conditions`. `controls` are the obligations that an allow carries: an enforcement point that cannot
    carry one out must not have this rule. `mode`: `disaster` and `degraded` rules widen the ordinary ones while
    disaster mode is on, or while the source of posture does not answer.
    """

    id: str  # `mail.managed_pc.1a2b3c4d`: stable as long as the rule says the same
    resource: str
    device_class: str
    users: str
    device: str
    posture: str
    conditions: tuple[Condition, ...]
    controls: dict[str, str | int]
    mode: Mode
    codes: tuple[str, ...]  # the reasons that such an allow can carry
    traces: tuple[Trace, ...]
    vectors: str  # how many vectors it allows, in decimal
    title: Words


class Office(msgspec.Struct, frozen=True):
    """When the policy's data says that the office is open, in Japan: `business_day` and `business_hours` mean this.

    `opens` is inside the hours and `closes` is not (`08:30`). Monday is 0; dates are ISO 8601.
    """

    opens: str
    closes: str
    closed_weekdays: tuple[int, ...]
    closed_dates: tuple[str, ...]


class RuleModel(msgspec.Struct, frozen=True):
    """All that a policy allows on one day. Equal policies and directories give equal bytes (`encode`)."""

    schema: str
    policy_revision: str
    policy_digest: str
    at: str  # the day that the catalogue was read for, RFC 3339
    method: str
    facts: tuple[Fact, ...]
    resources: tuple[Resource, ...]
    profiles: tuple[Profile, ...]
    reasons: tuple[Reason, ...]
    rules: tuple[Rule, ...]
    office: Office | None = None  # None: a policy whose data has no calendar

    def profile(self, profile_id: str) -> Profile:
        """Raises KeyError."""
        for profile in self.profiles:
            if profile.id == profile_id:
                return profile
        raise KeyError(profile_id)

    def conditions_of(self, rule: Rule) -> tuple[Condition, ...]:
        """Every condition of a rule, those of its profiles too; its device class is the first."""
        found = [Condition("device.class", (rule.device_class,))]
        for profile_id in (rule.users, rule.device, rule.posture):
            if profile_id:
                found += self.profile(profile_id).conditions
        return (*found, *rule.conditions)

    def resource(self, resource_id: str) -> Resource:
        """Raises KeyError."""
        for resource in self.resources:
            if resource.id == resource_id:
                return resource
        raise KeyError(resource_id)

    def fact(self, name: str) -> Fact:
        """Raises KeyError."""
        for fact in self.facts:
            if fact.name == name:
                return fact
        raise KeyError(name)


def encode(value: msgspec.Struct) -> bytes:
    """Canonical JSON: keys sorted, UTF-8, two blanks of indent, a newline at the end; equal values give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"


def decode_model(text: bytes) -> RuleModel:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=RuleModel)


def short_digest(value: object) -> str:
    """Eight hexadecimal digits of what stands in a value: the same in every run and on every machine."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:8]


_SECTIONS: Final[tuple[tuple[str, Section], ...]] = (
    # The first that fits counts: a whole name, or the beginning of one before a dot or the mark of a word.
    ("subject.auth_level", "authentication"),
    ("subject.auth_age_min", "authentication"),
    ("subject", "user"),
    ("departments", "user"),
    ("organisation", "user"),
    ("device.returned_from_outside", "posture"),
    ("context.sources.posture", "posture"),
    ("device.posture", "posture"),
    ("device", "device"),
    ("resource", "resource"),
    ("action", "action"),
    ("context.business_day", "time"),
    ("context.business_hours", "time"),
    ("context.work_permit", "time"),
    ("context.work_permit_until", "time"),
    ("context.disaster_mode", "time"),
    ("context.risk", "risk"),
    ("context.pep", "enforcement"),
    ("context", "network"),
)


@cache
def section_of(name: str) -> Section:
    """The section that a fact stands in. Raises KeyError for a name that is no fact."""
    for begin, section in _SECTIONS:
        if name == begin or name.startswith((f"{begin}.", f"{begin}∋")):
            return section
    raise KeyError(name)
