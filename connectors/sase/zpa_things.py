"""Exported access rules of ZPA as things of a customer, and back. Pure; the half that speaks: zpa_tenant.

All stand in one ordered list, where the first match decides: our allows, each of which stands alone, and behind them
the deny of our segments. What the list shows is written in the shape of API v1 and made into that of v2 again here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.documents import encoded
from connectors.sase.joined_models import joined_model
from connectors.sase.zpa_mapping import Mapped, read_mapping
from connectors.sase.zpa_schema import LISTED
from pdp.delivery.port import Capabilities, Effect, Held, Key, Thing, digest_of, meaning_of
from pdp.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RULE: Final = "rule"
PLACE: Final = "access"
MARK: Final = "zt."  # begins the names of our rules
RULES: Final = "access-rules.json"
_MODEL: Final = "model.json"
_MEMBERS: Final = ("description", "action", "operator", "conditions")
# What the API shows of every rule beyond what was sent, with the values that mean nothing.
_SHOWN: Final[Mapping[str, tuple[Any, ...]]] = {
    "negated": (False, None), "readOnly": (False, None), "zscalerManaged": (False, None), "defaultRule": (False, None),
    "extranetEnabled": (False, None), "devicePostureFailureNotificationEnabled": (False, None),
}  # fmt: skip


def courier(mapping: Mapping[str, Any]) -> ZpaCourier:
    """Raises SettingsError for a mapping that it cannot use."""
    return ZpaCourier(read_mapping(mapping))


class ZpaCourier:
    """The port `Courier`. `mapped` is for the half that speaks."""

    def __init__(self, mapped: Mapped) -> None:
        self.mapped = mapped

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(staging=False)

    def things(self, files: Mapping[str, bytes]) -> tuple[Thing, ...]:
        """As the port says."""
        try:
            return tuple(self._exported(one) for one in json.loads(files[RULES]))
        except (KeyError, ValueError, TypeError, AttributeError) as fault:
            raise ExportError(f"not exported rules of ZPA: {type(fault).__name__}", where=RULES) from None

    def files(self, held: Sequence[Held], exports: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
        """As the port says: in the order of the tenant."""
        live = [{"name": one.thing.key.name, **one.thing.body} for one in held if one.live]
        return {RULES: encoded(live), _MODEL: joined_model([one[_MODEL] for one in exports])}

    def stand_in(self, thing: Thing) -> Thing:
        """As the port says."""
        return self.rule(f"{thing.key.name}.next", thing.body)

    @staticmethod
    def rule(name: str, body: Mapping[str, Any]) -> Thing:
        """A rule, exported or read; `body` without its name. Of values, operands and blocks the order says nothing."""
        effect: Effect = "opens" if body["action"] == "ALLOW" else "closes"
        held = {**body, "conditions": sorted(map(_block, body["conditions"]), key=digest_of)}
        return Thing(Key(RULE, PLACE, name), held, effect, meaning_of(held, "description"), ordered=True)

    def shown(self, one: Mapping[str, Any]) -> Thing:
        """A rule as the list shows it. Raises KeyError, TypeError or ValueError for something else."""
        body: dict[str, Any] = {name: one[name] for name in _MEMBERS if name != "conditions"}
        blocks = one.get("conditions") or []
        body["conditions"] = [{"operator": block["operator"], "operands": _operands(block)} for block in blocks]
        for part in (one, *blocks):  # what we never send and what changes the meaning of a rule is drift
            for name, harmless in _SHOWN.items():
                if part.get(name) not in (*harmless, None):
                    body[f"{name}!"] = part[name]
        return self.rule(str(one["name"]), body)

    def _exported(self, one: Mapping[str, Any]) -> Thing:
        if not one["name"].startswith(MARK):
            raise ExportError(f"`{one['name']}` is not named as ours", where=RULES)
        return self.rule(one["name"], {name: one[name] for name in _MEMBERS})

    def may_let_through(self, one: Mapping[str, Any]) -> bool:
        """Whether a rule of somebody else, as the list shows it, may let anybody through to a segment of ours."""
        if one.get("action") == "DENY" or str(one.get("disabled", "0")) != "0":
            return False
        ours = {segment for place in self.mapped.resources.values() for segment in place.segments}
        blocks = one.get("conditions") or []
        return not any(_is_for_others(block, ours) for block in blocks)


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    operands = []
    for operand in block["operands"]:
        held = dict(operand)
        if "values" in held:
            held["values"] = sorted(held["values"])
        if "entryValues" in held:
            held["entryValues"] = sorted(held["entryValues"], key=lambda one: (one["lhs"], one["rhs"]))
        operands.append(held)
    return {**block, "operands": sorted(operands, key=lambda one: str(one["objectType"]))}


def _operands(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Operands of one type, which v1 shows one by one, are one operand of v2, in the place of the first."""
    found: dict[str, dict[str, Any]] = {}
    for operand in block["operands"]:
        kind, left, right = operand["objectType"], str(operand["lhs"]), str(operand["rhs"])
        if kind in LISTED:
            found.setdefault(kind, {"objectType": kind, "values": []})["values"].append(right)
        else:
            entry = {"lhs": left, "rhs": right}
            found.setdefault(kind, {"objectType": kind, "entryValues": []})["entryValues"].append(entry)
    return list(found.values())


def _is_for_others(block: Mapping[str, Any], ours: set[str]) -> bool:
    """Whether a block asks for segments none of which is ours. Of groups of segments nobody knows what is in them."""
    if block.get("negated"):
        return False
    operands = block["operands"]
    return all(one["objectType"] == "APP" and str(one["rhs"]) not in ours for one in operands)
