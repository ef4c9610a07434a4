"""Palo Alto Networks Prisma Access, managed by Strata Cloud Manager: security rules and the objects that they name.

For each folder of the mapping (mobile users, remote networks) an ordered rulebase: first what cuts off (people with a
lost device, addresses of the list), then allows that stand alone, then a deny of everything. An allow asks for

- a group of users (`source_user`), filled by this service through the directory,
- a set of sessions (`source`, one dynamic address group): class of device, register, risk and what no agent can find
  out, as tags that this service sets on the address of a session,
- what GlobalProtect finds on the device (`source_hip`, one HIP profile), and a schedule where hours are asked for.

`source`, `source_user` and `source_hip` are lists of alternatives at the vendor: two names in one widen the rule. So
each holds one name, and a country cannot stand beside a group of sessions: it is given for a folder, or is a tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.sase.documents import encoded, refuse_lacking, rules_words, shortened
from connectors.sase.prisma_calendar import BUSINESS_DAY, BUSINESS_HOURS
from connectors.sase.prisma_mapping import ANY, Mapped, read_mapping
from connectors.sase.prisma_objects import NOT_BY_ITS_OWN_WORD, Objects, check_of
from connectors.sase.prisma_reading import PrismaReading
from connectors.sase.prisma_words import NO_ACTION, NO_CONTROL, NO_FACT, NOT_HERE, REMARKS
from connectors.sase.saying import ACTION, holds, of_class, unsayable
from connectors.sase.words import ELSEWHERE, KEEP_CALLOUT
from pdp.export.port import Exported, LeftOut
from pdp.model.rules import Condition, short_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connectors.sase.prisma_mapping import Folder, Place
    from pdp.model.rules import FactValue, Rule, RuleModel

RULES: Final = "security-rules.json"
_TIME: Final = (BUSINESS_DAY, BUSINESS_HOURS)
_MAX_DESCRIPTION: Final = 1000  # of a rule; the OpenAPI gives none, PAN-OS has 1,024


def target(mapping: Mapping[str, Any]) -> PrismaTarget:
    """Raises SettingsError for a mapping that it cannot use."""
    return PrismaTarget(read_mapping(mapping))


class PrismaTarget:
    """The port `Target`."""

    def __init__(self, mapped: Mapped) -> None:
        self._mapped = mapped

    @property
    def name(self) -> str:
        return "prisma"

    def export(self, model: RuleModel) -> Exported:
        """As the port says. Raises ExportError for a system or a group of users that the mapping lacks."""
        refuse_lacking(
            "place", {rule.resource for rule in model.rules} - {*self._mapped.resources, *self._mapped.leave}
        )
        left_out = []
        said: dict[str, list[Rule]] = {key: [] for key in self._mapped.folders}
        for rule in model.rules:
            why, folders = self._cannot(model, rule)
            if why is not None:
                left_out.append(why)
            for key in folders:
                said[key].append(rule)
        written = {rule.users for found in said.values() for rule in found if rule.users}
        refuse_lacking("group", written - self._mapped.groups.keys())
        objects = Objects(model, self._mapped)
        rules = [made for key, found in said.items() for made in self._rulebase(model, key, found, objects)]
        files = {RULES: encoded(rules)}
        files |= {f"{kind}.json": encoded(held) for kind, held in objects.documents().items()}
        return Exported(files, tuple(left_out), REMARKS)

    def interpreter(self, files: Mapping[str, bytes]) -> PrismaReading:
        """As the port says."""
        return PrismaReading(files, self._mapped)

    # What cannot be said.

    def _cannot(self, model: RuleModel, rule: Rule) -> tuple[LeftOut | None, list[str]]:
        """Why a rule is left out, or the folders that it belongs to."""
        what = unsayable(model, rule, self._mapped, NO_CONTROL, pairs=True)  # tags are of sessions
        if what is None and not self._is_action(rule):
            what = ACTION, NO_ACTION, KEEP_CALLOUT
        folders: list[str] = []
        for key, folder in self._mapped.folders.items() if what is None else ():
            given = {**self._mapped.given_here, **folder.given}
            unlike = [one for one in rule.conditions if one.fact in given and not holds(one, given[one.fact])]
            unsaid = [one for one in _rest(rule, given) if not self._sayable(one)]
            if unlike:
                what = what or (unlike[0].fact, NOT_HERE, ELSEWHERE)
            elif unsaid:
                what = unsaid[0].fact, NO_FACT, KEEP_CALLOUT
            else:
                folders.append(key)
        if folders or what is None:
            return None, folders
        return LeftOut(rule.id, *what), []

    def _sayable(self, condition: Condition) -> bool:
        name = condition.fact.partition("∋")[0]
        if condition.fact in _TIME and condition.values == (True,):
            return self._mapped.calendar is not None or name in self._mapped.tagged
        return name in self._mapped.tagged

    def _is_action(self, rule: Rule) -> bool:
        """A rule of one action can stand where nothing else is done: a firewall sees no other difference."""
        asked = next((one for one in rule.conditions if one.fact == ACTION), None)
        return asked is None or self._mapped.resources[rule.resource].action in asked.values

    # The rulebase of one folder.

    def _rulebase(
        self, model: RuleModel, key: str, rules: Sequence[Rule], objects: Objects
    ) -> Iterator[dict[str, Any]]:
        folder = self._mapped.folders[key]
        lost = {"source_user": [objects.lost_users()]}
        yield self._rule(folder, f"zt.{key}.cut-off-users", "deny", "端末を紛失した者の利用を止める", **lost)
        cut_off = objects.cut_off_list()
        if cut_off is not None:
            words = "一覧にあるアドレスからの利用を止める"
            yield self._rule(folder, f"zt.{key}.cut-off-addresses", "deny", words, source=[cut_off])
        given = {**self._mapped.given_here, **folder.given}
        alike: dict[str, list[Rule]] = {}
        for rule in rules:
            where = self._mapped.resources[rule.resource]
            same = [rule.device_class, rule.users, rule.device, rule.posture, sorted(_rest(rule, given))]
            said = short_digest([key, same, where.application, where.service, where.category, where.to])
            alike.setdefault(f"zt.{key}.{rule.device_class}.{said}", []).append(rule)
        for name, found in sorted(alike.items()):
            yield self._allow(model, folder, name, found, objects)
        yield self._rule(folder, f"zt.{key}.deny-the-rest", "deny", "ほかの規則が許可しない利用はすべて拒否する")

    def _allow(
        self, model: RuleModel, folder: Folder, name: str, rules: Sequence[Rule], objects: Objects
    ) -> dict[str, Any]:
        """One allow for all systems that differ in nothing but their addresses."""
        rule, where = rules[0], self._mapped.resources[rules[0].resource]
        given = {**self._mapped.given_here, **folder.given}
        rest = _rest(rule, given)
        hours = [one.fact for one in rest if self._scheduled(one)]
        posture = model.profile(rule.posture).conditions if rule.posture else ()
        checks = {one: check_of(one, rule.device_class, self._mapped.checks) for one in posture}
        sets: list[tuple[str, Sequence[Condition]]] = [
            ("class", (of_class(rule.device_class),)),
            ("device", model.profile(rule.device).conditions if rule.device else ()),
            ("posture", [one for one in posture if checks[one] is None or one.fact in NOT_BY_ITS_OWN_WORD]),
            ("session", [one for one in rest if not self._scheduled(one)]),
        ]
        found = [check for check in checks.values() if check is not None]
        extra: dict[str, Any] = {
            "source": [objects.sessions([(kind, held) for kind, held in sets if held])],
            "source_user": [objects.group(rule.users)] if rule.users else ["known-user"],
            "destination": sorted({name for one in rules for name in self._mapped.resources[one.resource].destination}),
            **_place_of(where),
        }
        if found:
            extra["source_hip"] = [objects.hip(found)]
        if hours:
            extra["schedule"] = objects.schedule(hours=BUSINESS_HOURS in hours)
        return self._rule(folder, name, "allow", rules_words(model, rules), **extra)

    def _scheduled(self, condition: Condition) -> bool:
        return (
            condition.fact in _TIME
            and condition.values == (True,)
            and self._mapped.calendar is not None
            and condition.fact not in self._mapped.tagged
        )

    def _rule(self, folder: Folder, name: str, action: str, words: str, **extra: Any) -> dict[str, Any]:
        rule = {
            "name": name,
            "folder": folder.folder,
            "description": shortened(words, _MAX_DESCRIPTION),
            "from": list(folder.zones),
            "to": [ANY],
            "source": [ANY],
            "source_user": [ANY],
            "destination": [ANY],
            "application": [ANY],
            "service": [ANY],
            "category": [ANY],
            "action": action,
            "log_end": True,
            **extra,
        }
        return rule if self._mapped.log_setting is None else {**rule, "log_setting": self._mapped.log_setting}


def _place_of(place: Place) -> dict[str, list[str]]:
    return {
        "application": list(place.application),
        "service": list(place.service),
        "category": list(place.category),
        "to": list(place.to),
    }


def _rest(rule: Rule, given: Mapping[str, FactValue]) -> list[Condition]:
    """What is neither given here nor the action, which the place says."""
    return [one for one in rule.conditions if one.fact not in given and one.fact != ACTION]
