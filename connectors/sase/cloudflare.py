"""Cloudflare Access: reusable policies, the applications that they are linked from, and the posture rules they name.

An allow includes one group of the identity provider and requires, all of them (`require` is AND),

- a posture rule for each set that the device is to be in (class, register, posture, risk of the session): type
  `custom_s2s`, told by this service, always with an `expiration`, since without one the last result stands for ever,
- the country, an IP list of the zone, the method of authentication.

`include` is OR, so it holds one selector only. Access denies by default; a last policy says so again. Gateway allows
by default and carries no allow of ours: it blocks the private addresses behind the applications (cloudflare_gateway).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.sase.cloudflare_gateway import GATEWAY, guard
from connectors.sase.cloudflare_mapping import Mapped, read_mapping
from connectors.sase.cloudflare_reading import APPLICATIONS, HOME, POLICIES, POSTURE, SETS, CloudflareReading
from connectors.sase.cloudflare_words import NO_ACTION, NO_CONTROL, NO_FACT, NO_TIME, NOT_HERE, REMARKS
from connectors.sase.controls import SESSION_MAX, lacking
from connectors.sase.documents import conditions_told, conditions_words, encoded, shortened
from connectors.sase.saying import ACTION, COUNTRY, LEVEL, ZONE, holds, of_class, unsayable_sets
from connectors.sase.words import ELSEWHERE, KEEP_CALLOUT, LEFT
from pdp.errors import ExportError
from pdp.export.port import Exported, LeftOut
from pdp.model.rules import Condition, short_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connectors.sase.saying import Unsaid
    from pdp.model.rules import Rule, RuleModel

MAX_POLICIES: Final = 500  # reusable ones of an account; account limits of Cloudflare One
MAX_APPLICATIONS: Final = 500
MAX_RULES: Final = 1000  # selectors of all policies of one application
_EVERYTHING_ELSE: Final = "zt.deny-the-rest"
_TIME: Final = frozenset({"context.business_day", "context.business_hours"})
_MAX_DESCRIPTION: Final = 500  # of a posture rule; the API names no limit

Selector = dict[str, dict[str, str]]


def target(mapping: Mapping[str, Any]) -> CloudflareTarget:
    """Raises SettingsError for a mapping that it cannot use."""
    return CloudflareTarget(read_mapping(mapping))


class CloudflareTarget:
    """The port `Target`."""

    def __init__(self, mapped: Mapped) -> None:
        self._mapped = mapped

    @property
    def name(self) -> str:
        return "cloudflare"

    def export(self, model: RuleModel) -> Exported:
        """As the port says. Raises ExportError that names every id that the mapping lacks, and for a limit passed."""
        writing = _Writing(model, self._mapped)
        for rule in model.rules:
            writing.add(rule)
        return writing.finished()

    def interpreter(self, files: Mapping[str, bytes]) -> CloudflareReading:
        """As the port says."""
        return CloudflareReading(files, self._mapped)


class _Writing:
    """One export: what the rules ask for, each object once."""

    def __init__(self, model: RuleModel, mapped: Mapped) -> None:
        self._model = model
        self._mapped = mapped
        self._left_out: list[LeftOut] = []
        self._missing: set[str] = set()
        self._policies: dict[str, dict[str, Any]] = {}
        self._linked: dict[str, set[str]] = {name: set() for name in mapped.resources}
        self._sets: dict[str, dict[str, Any]] = {}

    def add(self, rule: Rule) -> None:
        """Write one rule, or say why it is left out."""
        if rule.resource not in self._mapped.resources and rule.resource not in self._mapped.leave:
            self._missing.add(f"application for `{rule.resource}`")
            return
        what = self._cannot(rule)
        if what is not None:
            self._left_out.append(LeftOut(rule.id, *what))
            return
        for policy in self._policies_of(rule):
            name = f"zt.{rule.device_class}.{short_digest(policy)}"
            self._policies[name] = {"name": name, **policy}
            self._linked[rule.resource].add(name)

    def finished(self) -> Exported:
        """The files."""
        if self._missing:
            raise ExportError(f"the mapping has no {', no '.join(sorted(self._missing))}")
        last = {"name": _EVERYTHING_ELSE, "decision": "deny", "include": [{"everyone": {}}]}
        policies = [*(held for _, held in sorted(self._policies.items())), last]
        applications = [self._application(name) for name in sorted(self._linked)]
        if len(policies) > MAX_POLICIES or len(applications) > MAX_APPLICATIONS:
            raise ExportError(
                f"{len(policies)} policies, {len(applications)} applications: an account has {MAX_POLICIES}"
            )
        sets = [held for _, held in sorted(self._sets.items())]
        files = {
            POLICIES: encoded(policies),
            APPLICATIONS: encoded(applications),
            POSTURE: encoded([self._posture_rule(held) for held in sets]),
            SETS: encoded(sets),
            GATEWAY: encoded(guard(one for place in self._mapped.resources.values() for one in place.private)),
        }
        return Exported(files, tuple(self._left_out), REMARKS)

    # What cannot be said.

    def _cannot(self, rule: Rule) -> Unsaid | None:
        if rule.resource in self._mapped.leave:
            return rule.resource, LEFT, ELSEWHERE
        missing = [
            one
            for one in lacking(rule.controls, self._mapped.enforces)
            if one != SESSION_MAX or one not in self._mapped.enforces  # named without a value: the files say it
        ]
        if missing:
            return missing[0], NO_CONTROL, KEEP_CALLOUT
        return unsayable_sets(self._model, rule, pairs=self._mapped.one_person_devices) or self._unsaid(rule)

    def _unsaid(self, rule: Rule) -> Unsaid | None:
        given = self._mapped.given_here
        for one in rule.conditions:
            if one.fact in given and not holds(one, given[one.fact]):
                return one.fact, NOT_HERE, ELSEWHERE
        for one in self._rest(rule):
            if one.fact == ACTION:
                if self._mapped.resources[rule.resource].action not in one.values:
                    return ACTION, NO_ACTION, KEEP_CALLOUT
            elif not self._is_tagged(one) and not self._selectors(one):
                return one.fact, NO_TIME if one.fact in _TIME else NO_FACT, KEEP_CALLOUT
        return None

    def _rest(self, rule: Rule) -> list[Condition]:
        return [one for one in rule.conditions if one.fact not in self._mapped.given_here]

    def _is_tagged(self, condition: Condition) -> bool:
        name = condition.fact.partition("∋")[0]
        return name in self._mapped.tagged or condition.fact in self._mapped.tagged

    # Policies.

    def _policies_of(self, rule: Rule) -> Iterator[dict[str, Any]]:
        """One policy; one for each zone where several will do, since `require` knows no OR."""
        rest = [one for one in self._rest(rule) if one.fact != ACTION]
        session = [one for one in rest if self._is_tagged(one)]
        required: list[list[Selector]] = [[]]
        for one in rest:
            if one not in session:
                required = [[*before, said] for before in required for said in self._selectors(one)]
        minutes = min(self._mapped.session_minutes, int(rule.controls.get(SESSION_MAX, self._mapped.session_minutes)))
        for selectors in required:
            policy: dict[str, Any] = {
                "decision": "allow",
                "include": [self._group(rule)],
                "require": [*self._sets_of(rule, session), *selectors],
                "session_duration": f"{minutes}m",
            }
            if "browser_only" in rule.controls:
                policy["isolation_required"] = True
            yield policy

    def _group(self, rule: Rule) -> Selector:
        provider = self._mapped.identity_provider
        if not rule.users:
            return {"login_method": {"id": provider}}
        group = self._mapped.groups.get(rule.users)
        if group is None:
            self._missing.add(f"group for `{rule.users}`")
        return {"azureAD": {"id": group or "", "identity_provider_id": provider}}

    def _sets_of(self, rule: Rule, session: Sequence[Condition]) -> list[Selector]:
        named: list[tuple[str, Sequence[Condition]]] = [(f"class-{rule.device_class}", (of_class(rule.device_class),))]
        named += [(name, self._model.profile(name).conditions) for name in (rule.device, rule.posture) if name]
        if session:
            named.append((f"session-{short_digest(sorted(session))}", session))
        return [self._set(name, conditions) for name, conditions in named]

    def _set(self, name: str, conditions: Sequence[Condition]) -> Selector:
        kept = self._mapped.sets.get(name)
        if kept is None:
            self._missing.add(f"posture rule for `{name}`")
            return {}
        words = conditions_words(self._model, conditions)
        self._sets[name] = {
            "name": name,
            "rule": kept.rule,
            "connection": kept.connection,
            "all_of": conditions_told(conditions),
            "ja": words.ja,
            "en": words.en,
        }
        return {"device_posture": {"integration_uid": kept.rule}}

    def _selectors(self, condition: Condition) -> list[Selector]:
        """Alternatives that say this, or less; none where nothing does."""
        if condition.fact == ZONE:
            lists = [self._mapped.zones[str(zone)] for zone in condition.values if zone in self._mapped.zones]
            return [{"ip_list": {"id": one}} for one in lists]
        if condition.fact == COUNTRY and HOME in condition.values:
            return [{"geo": {"country_code": HOME}}]
        if condition.fact == LEVEL:
            levels = self._model.fact(LEVEL).values
            for one in sorted(self._mapped.authentication, key=lambda method: method.level):
                if {level for level in levels if int(level) >= one.level} <= set(condition.values):
                    return [{"auth_method": {"auth_method": one.auth_method}}]
        return []

    # Objects.

    def _posture_rule(self, held: Mapping[str, Any]) -> dict[str, Any]:
        text = f"{held['ja']} / {held['en']}"
        return {
            "rule_id": held["rule"],
            "body": {
                "name": f"zt-{held['name']}",
                "description": shortened(text, _MAX_DESCRIPTION),
                "type": "custom_s2s",
                "schedule": f"{self._mapped.schedule_minutes}m",
                "expiration": f"{self._mapped.expiration_minutes}m",
                "input": {"connection_id": held["connection"], "operator": "==", "score": 100},
            },
        }

    def _application(self, resource: str) -> dict[str, Any]:
        place = self._mapped.resources[resource]
        names = [*sorted(self._linked[resource]), _EVERYTHING_ELSE]
        rules = sum(len(held["include"]) + len(held["require"]) for name in names if (held := self._policies.get(name)))
        if rules + 1 > MAX_RULES:
            raise ExportError(f"`{resource}` has {rules + 1} selectors: an application has {MAX_RULES} at most")
        return {
            "app_id": place.application,
            "body": {
                "name": resource,
                "type": "self_hosted",
                "domain": place.domain,
                "allowed_idps": [self._mapped.identity_provider],
                "allow_authenticate_via_warp": False,
                "options_preflight_bypass": False,
                "session_duration": f"{self._mapped.session_minutes}m",
                "policies": [{"id": name, "precedence": at} for at, name in enumerate(names, 1)],
            },
        }
