"""Exported NPA rules as things of a tenant, and back. Pure; the half that speaks: netskope_tenant.

Every rule is an allow that stands alone, and the place in the list means nothing (`netskope_reading`), so nothing is
ordered. A rule is added switched off, looked at, and switched on: what came back without its label or its group never
counts. The tenant shows more than was sent: what says nothing is left out, and whatever else it shows is drift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.sase.documents import encoded
from connectors.sase.joined_models import joined_model
from connectors.sase.netskope_mapping import Mapped, read_mapping
from connectors.sase.netskope_reading import RULES
from pdp.delivery.port import Capabilities, Held, Key, Thing, meaning_of
from pdp.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RULE: Final = "rule"
MARK: Final = "zt-"  # begins the names of our rules
ON: Final = "1"
OFF: Final = "0"
_MODEL: Final = "model.json"
_LISTS: Final = (
    "access_method",
    "privateApps",
    "device_classification_id",
    "userGroups",
    "net_location_obj",
    "srcCountries",
)
_FLAGS: Final = ("b_negateNetLocation", "b_negateSrcCountries")
_FIXED: Final[Mapping[str, Any]] = {"policy_type": "private-app", "userType": "user"}
_VERSIONS: Final[Mapping[str, Any]] = {"json_version": 3, "version": 1}  # of the form, and perhaps of the rule
# What the tenant makes of the private apps by itself.
_COMPUTED: Final = frozenset(
    {"privateAppIds", "privateAppsWithActivities", "show_dlp_profile_action_table", "description"}
)


def courier(mapping: Mapping[str, Any]) -> NetskopeCourier:
    """Raises SettingsError for a mapping that it cannot use."""
    return NetskopeCourier(read_mapping(mapping))


class NetskopeCourier:
    """The port `Courier`. `mapped` is for the half that speaks."""

    def __init__(self, mapped: Mapped) -> None:
        self.mapped = mapped

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(staging=True, quiet=frozenset({RULE}))

    def things(self, files: Mapping[str, bytes]) -> tuple[Thing, ...]:
        """As the port says."""
        try:
            listed = msgspec.json.decode(files[RULES], type=list[dict[str, Any]])
            return tuple(self._exported(one) for one in listed)
        except (KeyError, ValueError, TypeError, AttributeError) as fault:
            raise ExportError(f"not exported rules of Netskope: {type(fault).__name__}", where=RULES) from None

    def files(self, held: Sequence[Held], exports: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
        """As the port says."""
        live = [self.document(one.thing, live=True) for one in held if one.live]
        return {
            RULES: encoded(sorted(live, key=lambda one: str(one["rule_name"]))),
            _MODEL: joined_model([one[_MODEL] for one in exports]),
        }

    def stand_in(self, thing: Thing) -> Thing:
        """As the port says."""
        return self._rule(f"{thing.key.name}-next", thing.body)

    def document(self, thing: Thing, *, live: bool) -> dict[str, Any]:
        """What is sent for a rule."""
        return {
            "rule_name": thing.key.name,
            "enabled": ON if live else OFF,
            "group_name": self.mapped.policy_group,
            "rule_order": {"order": "bottom"},
            **thing.body,
        }

    def shown(self, one: Mapping[str, Any]) -> Held:
        """A rule as the tenant shows it. Raises KeyError, TypeError or ValueError for something else."""
        data = dict(one["rule_data"])
        if not isinstance(data.get("match_criteria_action"), dict):
            raise TypeError("a rule without an action")
        body: dict[str, Any] = {
            "description": str(one.get("description") or data.get("description") or ""),
            "rule_data": _rule_data(data),
        }
        if one.get("group_name") not in (None, self.mapped.policy_group):
            body["group_name!"] = one["group_name"]
        return Held(self._rule(str(one["rule_name"]), body), live=str(one["enabled"]) == ON)

    def may_let_through(self, one: Mapping[str, Any]) -> bool:
        """Whether a rule of somebody else, as the tenant shows it, may let anybody through to a private app of ours."""
        data, ours = one.get("rule_data"), self.mapped.resources.values()
        if str(one.get("enabled", ON)) == OFF:
            return False
        if not isinstance(data, dict):
            return True
        named = data.get("privateApps")
        action = data.get("match_criteria_action")
        if isinstance(action, dict) and action.get("action_name") == "block":
            return False
        if not isinstance(named, list) or not named or data.get("privateAppTags") or data.get("privateAppTagIds"):
            return True
        apps = {f"[{app}]".casefold() for place in ours for app in place.private_apps}
        return any(str(app).casefold() in apps for app in named)

    def _exported(self, one: Mapping[str, Any]) -> Thing:
        if not one["rule_name"].startswith(MARK):
            raise ExportError(f"`{one['rule_name']}` is not named as ours", where=RULES)
        return self._rule(
            one["rule_name"], {"description": one["description"], "rule_data": _rule_data(one["rule_data"])}
        )

    def _rule(self, name: str, body: dict[str, Any]) -> Thing:
        return Thing(Key(RULE, self.mapped.policy_group, name), body, "opens", meaning_of(body, "description"))


def _rule_data(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What a rule asks for, exported or shown. Lists have no order; labels are sent as numbers and shown as texts."""
    held: dict[str, Any] = {**_FIXED, **_VERSIONS}
    for name, value in shown.items():
        if name in _LISTS:
            if value:
                held[name] = sorted(map(int, value)) if name == "device_classification_id" else sorted(map(str, value))
        elif name in _FLAGS:
            held |= {name: True} if value else {}
        elif name == "match_criteria_action":
            held[name] = {one: said for one, said in value.items() if said or one == "action_name"}
        elif name in _FIXED:
            held[name] = value
        elif value and name not in _COMPUTED and name not in _VERSIONS:
            held[f"{name}!"] = value  # what we never send and what changes the meaning of a rule
    for flag, of in zip(_FLAGS, ("net_location_obj", "srcCountries"), strict=True):
        if of in held:
            held.setdefault(flag, False)
    return held
