"""The mapping of an Envoy export: whose tokens, which routes, what holds at this gateway."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.sase.controls import refuse_controls
from connectors.sase.mapping import converted, given_with_controls, refuse_action, refuse_given
from pdp.errors import SettingsError
from pdp.model.input import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.model.rules import FactValue, Section

METHODS: Final = {
    "GET": "read", "HEAD": "read", "POST": "write", "PUT": "write", "PATCH": "write", "DELETE": "write",
}  # fmt: skip
# What a gateway can be, whoever comes. Attack: a fact of the person or the device that is `given` is asked of nobody.
_GIVEN: Final[frozenset[Section]] = frozenset({"network", "enforcement"})
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?", re.ASCII)
_PREFIX: Final = re.compile(r"/([A-Za-z0-9._~-]+/)*", re.ASCII)


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a system is: the host and the beginning of the path, with a slash at the end; and who answers there.

    `action`: everything on this route is this action (a screen-transfer gateway: `screen_transfer`).
    """

    host: str
    upstream: str  # `address:port`
    prefix: str = "/"
    action: str | None = None


class Mapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`enforces` are controls that the applications behind this gateway carry out; `given` what always holds here.

    `methods` say which action an HTTP method is; a request with another method is no action that a rule can name.
    `leave` are systems that are not reached through this gateway.
    """

    issuer: str
    audiences: tuple[str, ...]
    jwks_file: str
    resources: dict[str, Route]
    listen: str = "127.0.0.1:8443"
    leave: tuple[str, ...] = ()
    enforces: tuple[str, ...] = ()
    given: dict[str, str | int | bool] = {}
    methods: dict[str, str] = msgspec.field(default_factory=lambda: dict(METHODS))
    clock_skew_seconds: int = 10

    @property
    def given_here(self) -> Mapping[str, FactValue]:
        """What is given, the words that this gateway declares with it."""
        return given_with_controls(self.given, self.enforces)


def read_mapping(mapping: Mapping[str, Any]) -> Mapped:
    """Raises SettingsError with the place of what is wrong."""
    mapped = converted(mapping, Mapped, "envoy")
    for name, route in mapped.resources.items():
        if _HOST.fullmatch(route.host) is None or _PREFIX.fullmatch(route.prefix) is None:
            raise SettingsError(
                f"`{name}`: a host in lower case and a prefix that begins and ends with a slash are needed"
            )
        refuse_action(name, route.action)
    _refuse_overlaps(mapped)
    refuse_given(mapped.given, _GIVEN)
    refuse_controls(mapped.enforces)
    for action in mapped.methods.values():
        if action not in ACTIONS:
            raise SettingsError(f"there is no action `{action}`")
    return msgspec.structs.replace(mapped, given=dict(mapped.given_here))


def _refuse_overlaps(mapped: Mapped) -> None:
    """Attack: what is allowed for one system must not reach another whose path begins with its path."""
    routes = sorted(mapped.resources.items())
    for at, (name, route) in enumerate(routes):
        for other_name, other in routes[at + 1 :]:
            nested = route.prefix.startswith(other.prefix) or other.prefix.startswith(route.prefix)
            if route.host == other.host and nested:
                raise SettingsError(f"`{name}` and `{other_name}` have one place: give each a prefix of its own")
