"""Exported Conditional Access policies as things of a tenant, and back. Pure; the half that speaks: entra_tenant.

Every policy closes: it blocks, or asks for a strength, and nothing that it does opens anything. What it excludes stands
in its body, the break-glass group with it, and no body without that group is made into a thing. A policy that only
reports, or is switched off, is there and does not count (`live`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.documents import encoded
from connectors.sase.entra_mapping import Mapped, read_mapping
from connectors.sase.joined_models import joined_model
from pdp.delivery.port import Capabilities, Held, Key, Thing, meaning_of
from pdp.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POLICY: Final = "policy"
MARK: Final = "ZT-"  # begins the names of our policies
REPORT_ONLY: Final = "enabledForReportingButNotEnforced"
ENABLED: Final = "enabled"
_POLICIES: Final = "policies.json"
_SETS: Final = "sets.json"
_MODEL: Final = "model.json"
_OWN: Final = ("displayName", "state")


def courier(mapping: Mapping[str, Any]) -> EntraCourier:
    """Raises SettingsError for a mapping that it cannot use."""
    return EntraCourier(read_mapping(mapping))


class EntraCourier:
    """The port `Courier`. `mapped` is for the half that speaks: the ids of the tenant."""

    def __init__(self, mapped: Mapped) -> None:
        self.mapped = mapped

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(staging=False, quiet=frozenset({POLICY}), default_open=True)

    def things(self, files: Mapping[str, bytes]) -> tuple[Thing, ...]:
        """As the port says. Raises ExportError for a policy that does not exclude the break-glass group."""
        try:
            return tuple(self._exported(one) for one in json.loads(files[_POLICIES]))
        except (KeyError, ValueError, TypeError, AttributeError) as fault:
            raise ExportError(f"not exported policies: {type(fault).__name__}", where=_POLICIES) from None

    def files(self, held: Sequence[Held], exports: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
        """As the port says: those that are switched on, as the report-only ones that they were exported as."""
        live = sorted((one.thing for one in held if one.live), key=lambda thing: thing.key)
        policies = [{"displayName": one.key.name, "state": REPORT_ONLY, **one.body} for one in live]
        model = joined_model([one[_MODEL] for one in exports])
        return {_POLICIES: encoded(policies), _SETS: encoded(_sets(exports)), _MODEL: model}

    def stand_in(self, thing: Thing) -> Thing:
        """As the port says."""
        return self.policy(f"{thing.key.name}.next", thing.body)

    def policy(self, name: str, body: Mapping[str, Any]) -> Thing:
        """A policy, whether exported or read; `body` without its name and state. Its lists are sets: sorted here."""
        held = {key: _sorted(value) for key, value in body.items()}
        return Thing(Key(POLICY, "", name), held, "closes", meaning_of(held, "description"))

    def spares_break_glass(self, body: Mapping[str, Any]) -> bool:
        """Whether a policy leaves the break-glass group alone. Attack: one that does not locks the last door."""
        return self.mapped.break_glass in body["conditions"]["users"]["excludeGroups"]

    def _exported(self, one: Mapping[str, Any]) -> Thing:
        body = {name: value for name, value in one.items() if name not in _OWN}
        if not one["displayName"].startswith(MARK):
            raise ExportError(f"`{one['displayName']}` is not named as ours", where=_POLICIES)
        if not self.spares_break_glass(body):
            raise ExportError(f"`{one['displayName']}` does not exclude the break-glass group", where=_POLICIES)
        return self.policy(one["displayName"], body)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(one) for key, one in value.items()}
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return sorted(value)
    return value


def _sets(exports: Sequence[Mapping[str, bytes]]) -> dict[str, Any]:
    """The newest, with the words and groups that only an older one has. Words are named by their contents."""
    read = [json.loads(one[_SETS]) for one in exports]
    joined = dict(read[0])
    for part in ("devices", "groups"):
        joined[part] = {name: meaning for one in reversed(read) for name, meaning in one[part].items()}
    return joined
