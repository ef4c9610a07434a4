"""Envoy RBAC from verified token claims: enforcement on the premises, also where no callout may leave (LGWAN).

A token of the identity side carries what is true of the person and the device when it is issued (`claims_of`):
`sets`, the profiles of the rule model that they are in, and `facts`, the other facts as `name=value`. Envoy verifies it
(`jwt_authn`), puts it into metadata that no client can reach, and lets a request through where one policy of one ALLOW
filter matches; everything else is denied. No header of the client is looked at but the path, the host and the method.

What it cannot say: the controls of an allow (clipboard, print, recording), unless the mapping says that the
applications behind this gateway carry them out; and the organisation whose data a request asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.sase.controls import lacking
from connectors.sase.documents import encoded, members_told
from connectors.sase.envoy_config import ROUTED, bootstrap
from connectors.sase.envoy_mapping import Mapped, read_mapping
from connectors.sase.envoy_reading import EnvoyReading
from connectors.sase.saying import ORGANISATION, asks_whose_data, holds, of_class, value_text
from connectors.sase.words import ELSEWHERE, LEFT, NO_ORGANISATION
from pdp.errors import ExportError
from pdp.export.port import Exported, LeftOut
from pdp.model.rules import Condition, Words, short_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pdp.model.rules import FactValue, Profile, Rule, RuleModel

FILE: Final = "envoy.json"
CLAIMS: Final = "claims.json"
METADATA: Final = "envoy.filters.http.jwt_authn"
PAYLOAD: Final = "sekisho"  # the key below which the verified claims stand
SETS: Final = "sets"
FACTS: Final = "facts"
_DEPARTMENTS: Final = "departments"

_NO_CONTROL: Final = Words(
    ja="この制限を実施する者がこのゲートウェイの後ろにいない（対応表の enforces にない）",
    en="nobody behind this gateway carries this control out (it is not in `enforces` of the mapping)",
)
_KEEP_CALLOUT: Final = Words(
    ja="この利用は ext_authz（Sekisho への問合せ）で判定する",
    en="have these accesses decided by ext_authz (Sekisho itself)",
)
_NOT_HERE: Final = Words(
    ja="このゲートウェイでは成り立たない条件がある（対応表の given）",
    en="a condition does not hold at this gateway (`given` of the mapping)",
)
_NO_ACTION: Final = Words(
    ja="この操作になる HTTP メソッドも経路もない（対応表の methods、resources の action）",
    en="no HTTP method and no route is this action (`methods`, and `action` of a route, in the mapping)",
)


def target(mapping: Mapping[str, Any]) -> EnvoyTarget:
    """Raises SettingsError for a mapping that it cannot use."""
    return EnvoyTarget(read_mapping(mapping))


class EnvoyTarget:
    """The port `Target`."""

    def __init__(self, mapped: Mapped) -> None:
        self._mapped = mapped

    @property
    def name(self) -> str:
        return "envoy"

    def export(self, model: RuleModel) -> Exported:
        """As the port says. Raises ExportError for a system that the mapping does not know."""
        left_out: list[LeftOut] = []
        said: dict[str, tuple[list[Condition], list[Rule]]] = {}
        for rule in model.rules:
            if rule.resource not in self._mapped.resources and rule.resource not in self._mapped.leave:
                raise ExportError(f"the mapping has no route for `{rule.resource}`")
            why = self._cannot(model, rule)
            if why is not None:
                left_out.append(why)
                continue
            asked = (of_class(rule.device_class), *rule.conditions)
            conditions = [one for one in asked if one.fact not in self._mapped.given]
            key = short_digest([sorted(conditions), rule.users, rule.device, rule.posture, rule.device_class])
            said.setdefault(key, (conditions, []))[1].append(rule)
        policies = {
            f"{rules[0].device_class}.{key}": self._policy(rules, conditions)
            for key, (conditions, rules) in sorted(said.items())
        }
        config = bootstrap(self._mapped, policies)
        files = {FILE: encoded(config), CLAIMS: encoded(_claims_guide(model, self._mapped))}
        return Exported(files, tuple(left_out), _REMARKS)

    def interpreter(self, files: Mapping[str, bytes]) -> EnvoyReading:
        """As the port says."""
        return EnvoyReading(files, self._mapped)

    def _cannot(self, model: RuleModel, rule: Rule) -> LeftOut | None:
        if rule.resource in self._mapped.leave:
            return LeftOut(rule.id, rule.resource, LEFT, ELSEWHERE)
        for control in lacking(rule.controls, self._mapped.enforces):
            return LeftOut(rule.id, control, _NO_CONTROL, _KEEP_CALLOUT)
        if asks_whose_data(model, rule):
            return LeftOut(rule.id, ORGANISATION, NO_ORGANISATION, _KEEP_CALLOUT)
        actions = next((one.values for one in rule.conditions if _routed(one)), None)
        if not list(self._permissions(rule.resource, actions)):
            return LeftOut(rule.id, "action.name", _NO_ACTION, _KEEP_CALLOUT)
        for condition in model.conditions_of(rule):
            given = self._mapped.given.get(condition.fact)
            if given is not None and not holds(condition, given):
                return LeftOut(rule.id, condition.fact, _NOT_HERE, ELSEWHERE)
        return None

    def _policy(self, rules: Sequence[Rule], conditions: Sequence[Condition]) -> dict[str, Any]:
        """One policy: any of these systems, and a token with all of these claims."""
        sets = [one for one in (rules[0].users, rules[0].device, rules[0].posture) if one]
        asked = [_has(SETS, [name]) for name in sets]
        asked += [
            _has(FACTS, [fact_text(one.fact, value) for value in one.values]) for one in conditions if not _routed(one)
        ]
        allowed = next((one.values for one in conditions if _routed(one)), None)
        permissions = [
            permission
            for resource in sorted({rule.resource for rule in rules})
            for permission in self._permissions(resource, allowed)
        ]
        return {"permissions": permissions, "principals": [{"and_ids": {"ids": asked}}]}

    def _permissions(self, resource: str, actions: Sequence[FactValue] | None) -> Iterator[dict[str, Any]]:
        """A system is a host and the beginning of a path; an action is the methods that the mapping says it is."""
        route = self._mapped.resources[resource]
        here = [
            {"header": {"name": ":authority", "string_match": {"exact": route.host, "ignore_case": True}}},
            {"url_path": {"path": {"prefix": route.prefix}}},
        ]
        if actions is None:
            yield {"and_rules": {"rules": here}}
            return
        if route.action is not None:
            if route.action in actions:
                yield {"and_rules": {"rules": here}}
            return
        methods = [method for method, action in self._mapped.methods.items() if action in actions]
        if methods:
            matches = [{"header": {"name": ":method", "string_match": {"exact": method}}} for method in methods]
            yield {"and_rules": {"rules": [*here, {"or_rules": {"rules": matches}}]}}


_REMARKS: Final = (
    Words(
        ja="判定は、トークンを発行した時点の事実による。トークンの有効時間（推奨5分以内）が、失効が効くまでの時間になる。",
        en="Decisions stand on the facts at the issue of the token: its lifetime (five minutes or less) is how long a "
        "withdrawal takes.",
    ),
)


def claims_of(
    model: RuleModel,
    facts: Mapping[str, FactValue],
    given: Mapping[str, FactValue],
    *,
    departments: Sequence[str] = (),
    organisation: str = "",
) -> dict[str, list[str]]:
    """What a token says of one person and device with these facts (by their names): `sets` and `facts`.

    `departments` (the person's own first) and `organisation` are held against those of each profile: the facts of these
    names say how a person stands to one system, and a token is for all. Facts of the gateway (`given`), of the route
    (action) and of the resource are not the token's to say.
    """

    def applies(condition: Condition, profile: Profile) -> bool:
        if condition.fact == _DEPARTMENTS:
            return _standing(departments, profile.departments) in condition.values
        if condition.fact == ORGANISATION:
            named = "named" if organisation in profile.organisations else "none"
            return bool(profile.organisations) and named in condition.values
        return holds(condition, facts[condition.fact])

    sets = [profile.id for profile in model.profiles if all(applies(one, profile) for one in profile.conditions)]
    named = {one.fact for rule in model.rules for one in rule.conditions} | {"device.class"}
    told = sorted(name for name in named if name not in given and not name.startswith("action."))
    return {SETS: sets, FACTS: [fact_text(name, facts[name]) for name in told]}


def _standing(departments: Sequence[str], named: Sequence[str]) -> str:
    """The fact `departments` of a person for whoever names these."""
    if not named:
        return "open" if departments else "open-nobody"
    if not departments:
        return "nobody"
    if departments[0] in named:
        return "first"
    return "later" if set(departments) & set(named) else "none"


def fact_text(name: str, value: FactValue) -> str:
    """A fact as one word of the claim `facts`: `subject.auth_level=2`, `context.zone=office`."""
    return f"{name}={value_text(value)}"


def _routed(condition: Condition) -> bool:
    return condition.fact in ROUTED


def _has(claim: str, words: Sequence[str]) -> dict[str, Any]:
    """A principal whose verified token has one of these words in a list."""
    found = [
        {
            "sourced_metadata": {
                "metadata_matcher": {
                    "filter": METADATA,
                    "path": [{"key": PAYLOAD}, {"key": PAYLOAD}, {"key": claim}],
                    "value": {"list_match": {"one_of": {"string_match": {"exact": word}}}},
                }
            }
        }
        for word in words
    ]
    return found[0] if len(found) == 1 else {"or_ids": {"ids": found}}


def _claims_guide(model: RuleModel, mapped: Mapped) -> dict[str, Any]:
    """What whoever issues the tokens has to put into them."""
    named = sorted({one.fact for rule in model.rules for one in rule.conditions} | {"device.class"})
    return {
        "issuer": mapped.issuer,
        "audiences": list(mapped.audiences),
        "claim": PAYLOAD,
        FACTS: {
            fact.name: [fact_text(fact.name, value) for value in fact.values]
            for fact in model.facts
            if fact.name in named and fact.name not in mapped.given and fact.name not in ROUTED
        },
        SETS: {profile.id: members_told(profile) for profile in model.profiles},
    }
