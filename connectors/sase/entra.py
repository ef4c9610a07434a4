"""Microsoft Entra Conditional Access: for every system, policies that block whatever no rule allows.

Every allow of the rule model becomes a part of clauses (`entra_clauses`), every clause one policy: all users but some
groups, all devices but some sets, all places but some, are blocked or need a strength. The sets are an attribute of
the device that this service alone writes (`sets.json`); the policy excludes the devices that have it, so it applies
to a device that Entra does not know, whose attributes are all null. The platform is not asked for: it is
what the client says of itself. Everything is report-only, and every policy excludes the break-glass group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.sase.documents import conditions_told, encoded, shortened
from connectors.sase.entra_clauses import Clause, Term, clauses_of
from connectors.sase.entra_mapping import Mapped, read_mapping, said_of
from connectors.sase.entra_reading import EntraReading
from connectors.sase.entra_words import NO_ACTION, NO_CONTROL, NO_FACT, NO_STATE, NOT_HERE, REMARKS
from connectors.sase.saying import ACTION, LEVEL, holds, of_class, unsayable
from connectors.sase.words import ELSEWHERE, KEEP_CALLOUT
from pdp.errors import ExportError
from pdp.export.port import Exported, LeftOut
from pdp.model.rules import Condition, short_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.sase.saying import Unsaid
    from pdp.model.rules import Rule, RuleModel

POLICIES: Final = "policies.json"
SETS: Final = "sets.json"
REPORT_ONLY: Final = "enabledForReportingButNotEnforced"
MAX_POLICIES: Final = 195  # of a tenant; policies in every state count
MAX_APPLICATIONS: Final = 250  # of a policy
MAX_FILTER: Final = 3072  # characters of a device filter
MAX_ATTRIBUTE: Final = 1024  # characters of an extension attribute
_HIGHEST: Final = 3
_MAX_DESCRIPTION: Final = 1000


def target(mapping: Mapping[str, Any]) -> EntraTarget:
    """Raises SettingsError for a mapping that it cannot use."""
    return EntraTarget(read_mapping(mapping))


class EntraTarget:
    """The port `Target`."""

    def __init__(self, mapped: Mapped) -> None:
        self._mapped = mapped

    @property
    def name(self) -> str:
        return "entra"

    def export(self, model: RuleModel) -> Exported:
        """As the port says. Raises ExportError for a system or group that the mapping lacks, or beyond a limit."""
        left_out: list[LeftOut] = []
        said: dict[str, list[Term]] = {one.id: [] for one in model.resources if one.id in self._mapped.applications}
        for one in model.resources:  # one without rules too: what no policy names is open
            if one.id not in said and one.id not in self._mapped.leave:
                raise ExportError(f"the mapping has no application for `{one.id}`")
        sets = _Sets(model, self._mapped)
        for rule in model.rules:
            why = self._cannot(model, rule)
            if why is not None:
                left_out.append(LeftOut(rule.id, *why))
            else:
                said[rule.resource].append(self._term(rule, sets))
        of: dict[Clause, list[str]] = {}
        for resource, terms in sorted(said.items()):
            for clause in clauses_of(terms):
                of.setdefault(clause, []).append(resource)
        policies = [self._policy(model, clause, of[clause], sets) for clause in sorted(of, key=lambda one: one.key)]
        _refuse_beyond(policies)
        return Exported({POLICIES: encoded(policies), SETS: encoded(sets.document())}, tuple(left_out), REMARKS)

    def interpreter(self, files: Mapping[str, bytes]) -> EntraReading:
        """As the port says."""
        return EntraReading(files, self._mapped)

    # What cannot be said.

    def _cannot(self, model: RuleModel, rule: Rule) -> Unsaid | None:
        if rule.mode != "ordinary" and rule.resource not in self._mapped.leave:
            return rule.mode, NO_STATE, KEEP_CALLOUT
        common = unsayable(model, rule, self._mapped, NO_CONTROL, pairs=self._mapped.one_person_devices)
        return common or self._cannot_ask(rule)

    def _cannot_ask(self, rule: Rule) -> Unsaid | None:
        for condition in rule.conditions:
            given = self._mapped.given_here.get(condition.fact)
            if given is not None:
                if not holds(condition, given):
                    return condition.fact, NOT_HERE, ELSEWHERE
            elif condition.fact == ACTION:
                if self._mapped.applications[rule.resource].action not in condition.values:
                    return condition.fact, NO_ACTION, KEEP_CALLOUT
            elif self._atom(condition) is None:
                return condition.fact, NO_FACT, KEEP_CALLOUT
        return None

    # What can be.

    def _term(self, rule: Rule, sets: _Sets) -> Term:
        """All that a rule asks for."""
        atoms = [Clause(devices=frozenset({sets.device(rule)}))]
        if rule.users:
            atoms.append(Clause(people=frozenset({sets.group(rule.users)})))
        for condition in rule.conditions:
            if condition.fact in self._mapped.given_here or condition.fact == ACTION:
                continue
            atom = self._atom(condition)
            if atom is None:
                raise ValueError("a rule that cannot be said is left out before")
            atoms.append(atom)
            sets.note(condition)
        return frozenset(atoms)

    def _atom(self, condition: Condition) -> Clause | None:
        """What says a condition exactly, or more narrowly; None: nothing does."""
        known = self._mapped.places.get(condition.fact, {})
        places = [known[value] for value in condition.values if isinstance(value, str) and value in known]
        if len(places) == len(condition.values):
            return Clause(places=frozenset(places))
        if condition.fact == LEVEL:
            enough = [
                level
                for level in sorted(self._mapped.strengths.levels)
                if set(range(level, _HIGHEST + 1)) <= set(condition.values)
            ]
            return Clause(level=enough[0]) if enough else None
        group = self._mapped.people.get(said_of(condition))
        return None if group is None else Clause(people=frozenset({group}))

    def _policy(self, model: RuleModel, clause: Clause, resources: Sequence[str], sets: _Sets) -> dict[str, Any]:
        """One clause: it applies to all who are in none of its sets, and blocks them, or asks for a strength."""
        conditions: dict[str, Any] = {
            "clientAppTypes": ["all"],
            "applications": {
                "includeApplications": sorted(self._mapped.applications[resource].id for resource in resources)
            },
            "users": {
                "includeUsers": ["All"],
                "excludeGroups": [self._mapped.break_glass, *sorted(clause.people)],
            },
        }
        if clause.places:
            conditions["locations"] = {"includeLocations": ["All"], "excludeLocations": sorted(clause.places)}
        if clause.devices:
            conditions["devices"] = {"deviceFilter": {"mode": "exclude", "rule": sets.filter_of(clause.devices)}}
        grant: dict[str, Any] = {"operator": "OR", "builtInControls": ["block"]}
        if clause.level is not None:
            strength = {"id": self._mapped.strengths.levels[clause.level]}
            grant = {"operator": "OR", "builtInControls": [], "authenticationStrength": strength}
        kind = "block" if clause.level is None else f"level-{clause.level}"
        titles = "、".join(model.resource(resource).title.ja for resource in resources)
        return {
            "displayName": f"ZT-{kind}-{short_digest(clause.key)}",
            "description": shortened(f"{sets.words(clause)}。対象: {titles}", _MAX_DESCRIPTION),
            "state": REPORT_ONLY,
            "conditions": conditions,
            "grantControls": grant,
        }


class _Sets:
    """What this service fills: groups of people, and sets of devices as words of one attribute."""

    def __init__(self, model: RuleModel, mapped: Mapped) -> None:
        self._model = model
        self._mapped = mapped
        self._devices: dict[str, dict[str, Any]] = {}
        self._groups: dict[str, dict[str, Any]] = {}

    def device(self, rule: Rule) -> str:
        """The word for the devices of a class in these two profiles."""
        profiles = [one for one in (rule.device, rule.posture) if one]
        word = f"{rule.device_class}.{short_digest([rule.device_class, profiles])}"
        asked = [of_class(rule.device_class)]
        self._devices[word] = _meaning(asked, profiles, self._words(asked, profiles))
        return word

    def group(self, profile: str) -> str:
        """The group of a profile of users. Raises ExportError for one that the mapping lacks."""
        group = self._mapped.groups.get(profile)
        if group is None:
            raise ExportError(f"the mapping has no group for `{profile}`")
        self._groups[group] = _meaning([], [profile], self._words([], [profile]))
        return group

    def note(self, condition: Condition) -> None:
        """A group of `people` that a policy names."""
        group = self._mapped.people.get(said_of(condition))
        if group is not None:
            self._groups[group] = _meaning([condition], [], self._words([condition], []))

    def filter_of(self, words: frozenset[str]) -> str:
        """The device filter: any of these words. Raises ExportError where Entra takes no filter of this length."""
        rule = " -or ".join(f'device.{self._mapped.attribute} -contains "{word}"' for word in sorted(words))
        if len(rule) > MAX_FILTER:
            raise ExportError(f"a device filter of {len(rule):,} characters; {MAX_FILTER:,} are possible")
        return rule

    def document(self) -> dict[str, Any]:
        """What `sets.json` says. Raises ExportError where one device could have more words than fit."""
        for device_class in {word.partition(".")[0] for word in self._devices}:
            length = sum(len(word) + 1 for word in self._devices if word.startswith(f"{device_class}."))
            if length > MAX_ATTRIBUTE:
                raise ExportError(f"the sets of `{device_class}` do not fit into one attribute")
        return {
            "attribute": self._mapped.attribute,
            "one_person_devices": self._mapped.one_person_devices,
            "devices": self._devices,
            "groups": self._groups,
        }

    def words(self, clause: Clause) -> str:
        """A clause for people, in Japanese."""
        named = [self._groups[one]["ja"] for one in sorted(clause.people) if one in self._groups]
        named += [f"端末群 {one}" for one in sorted(clause.devices)]
        places = {said: value for of in self._mapped.places.values() for value, said in of.items()}
        named += [f"場所 {places[one]}" for one in sorted(clause.places)]
        end = "拒否する" if clause.level is None else f"認証レベル{clause.level}以上を求める"
        return f"次のいずれにも当たらなければ{end}: {' / '.join(named) or 'なし（すべて対象）'}"

    def _words(self, conditions: Sequence[Condition], profiles: Sequence[str]) -> str:
        return "、".join([said_of(one) for one in conditions] + [self._model.profile(one).title.ja for one in profiles])


def _meaning(conditions: Sequence[Condition], profiles: Sequence[str], words: str) -> dict[str, Any]:
    return {"all_of": conditions_told(conditions), "profiles": list(profiles), "ja": words}


def _refuse_beyond(policies: Sequence[Mapping[str, Any]]) -> None:
    if len(policies) > MAX_POLICIES:
        raise ExportError(f"{len(policies)} policies are needed and {MAX_POLICIES} possible: `leave` some systems out")
    for policy in policies:
        count = len(policy["conditions"]["applications"]["includeApplications"])
        if count > MAX_APPLICATIONS:
            raise ExportError(f"a policy for {count} applications; {MAX_APPLICATIONS} are possible")
