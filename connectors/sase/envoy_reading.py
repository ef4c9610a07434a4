"""What an exported Envoy lets through, by Envoy's own documents, from `envoy.json` alone.

RBAC (api/envoy/config/rbac/v3/rbac.proto of Envoy 1.40): with the action ALLOW a request passes where any policy
matches, and only there; a policy matches where any of its permissions and any of its principals do; no policy at all
allows nothing. Before it `jwt_authn` has refused every request without a valid token, so that claims are facts here.

What this reading does not know it refuses (ExportError): another action, another matcher, a header of the client. It
knows of the claims what `claims_of` says a token carries: a word of `sets` stands for the profile of that id.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import ExportError
from pdp.model.rules import decode_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from connectors.sase.envoy_mapping import Mapped, Route
    from pdp.export.port import Region, Sieve
    from pdp.model.rules import FactValue, Profile

_ACTION: Final = "action.name"
_FILE: Final = "envoy.json"
_NEEDED: Final = ("normalize_path", "merge_slashes")


class EnvoyReading:
    """The port `Interpreter`."""

    def __init__(self, files: Mapping[str, bytes], mapped: Mapped) -> None:
        self._mapped = mapped
        try:
            config = json.loads(files[_FILE])
            (listener,) = config["static_resources"]["listeners"]
            manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
            filters = {one["name"]: one["typed_config"] for one in manager["http_filters"]}
            order = [one["name"] for one in manager["http_filters"]]
            model = decode_model(files["model.json"])
        except (KeyError, ValueError, TypeError, IndexError) as fault:
            raise ExportError(f"not an exported Envoy: {type(fault).__name__}", where=_FILE) from None
        self._profiles: dict[str, Profile] = {profile.id: profile for profile in model.profiles}
        self._knows_actions = any(fact.name == _ACTION for fact in model.facts)
        self._routes = _served(manager, mapped)
        self._policies = _policies(filters, order, manager)

    @property
    def given(self) -> Mapping[str, FactValue]:
        return dict(self._mapped.given)

    def permitted(self, resource: str, sieve: Sieve) -> Region:
        """As the port says: requests to the route of this system, with any method that is an action."""
        route = self._routes.get(resource)
        if route is None:
            return sieve.nothing
        found = sieve.nothing
        for policy in self._policies:
            permissions = sieve.nothing
            for permission in policy["permissions"]:
                permissions |= self._permission(permission, route, sieve)
            principals = sieve.nothing
            for principal in policy["principals"]:
                principals |= self._principal(principal, sieve)
            found |= permissions & principals
        if route.action is not None and self._knows_actions:  # whoever comes this way does nothing else
            found &= sieve.where([_ACTION], lambda value: bool(value == route.action))
        return found

    # Which request.

    def _permission(self, permission: Mapping[str, Any], route: Route, sieve: Sieve) -> Region:
        ((kind, held),) = permission.items()
        if kind == "any" and held is True:
            return sieve.everything
        if kind == "and_rules":
            return _all(sieve, [self._permission(one, route, sieve) for one in held["rules"]])
        if kind == "or_rules":
            return _any(sieve, [self._permission(one, route, sieve) for one in held["rules"]])
        if kind == "url_path":
            return (
                sieve.everything
                if route.prefix.startswith(held["path"]["prefix"])
                else self._partly(route, held, sieve)
            )
        if kind == "header" and held["name"] == ":authority":
            return sieve.everything if route.host == held["string_match"]["exact"].lower() else sieve.nothing
        if kind == "header" and held["name"] == ":method":
            return self._method(held["string_match"]["exact"], route, sieve)
        raise ExportError(f"a permission `{kind}` is not known", where=_FILE)

    @staticmethod
    def _partly(route: Route, held: Mapping[str, Any], sieve: Sieve) -> Region:
        """A rule for a part of the system's paths lets some request to the system through: it counts as all of it."""
        return sieve.everything if held["path"]["prefix"].startswith(route.prefix) else sieve.nothing

    def _method(self, method: str, route: Route, sieve: Sieve) -> Region:
        action = route.action or self._mapped.methods.get(method)
        if not self._knows_actions:
            return sieve.everything
        return sieve.where([_ACTION], lambda value: bool(value == action))

    # Whose token.

    def _principal(self, principal: Mapping[str, Any], sieve: Sieve) -> Region:
        ((kind, held),) = principal.items()
        if kind == "any" and held is True:
            return sieve.everything
        if kind == "and_ids":
            return _all(sieve, [self._principal(one, sieve) for one in held["ids"]])
        if kind == "or_ids":
            return _any(sieve, [self._principal(one, sieve) for one in held["ids"]])
        if kind == "sourced_metadata":
            matcher = held["metadata_matcher"]
            keys = [step["key"] for step in matcher["path"]]
            word = matcher["value"]["list_match"]["one_of"]["string_match"]["exact"]
            if matcher["filter"] == "envoy.filters.http.jwt_authn" and keys[:2] == ["sekisho", "sekisho"]:
                return self._claim(keys[2], word, sieve)
        raise ExportError(f"a principal `{kind}` is not known", where=_FILE)

    def _claim(self, claim: str, word: str, sieve: Sieve) -> Region:
        if claim == "sets" and word in self._profiles:
            return sieve.members(self._profiles[word])
        name, equals, text = word.partition("=")
        if claim == "facts" and equals:
            return sieve.where([name], _says(text))
        raise ExportError(f"nobody fills the claim `{claim}` with `{word}`", where=_FILE)


def _says(text: str) -> Callable[[FactValue], bool]:
    return lambda value: (value if isinstance(value, str) else json.dumps(value)) == text


def _all(sieve: Sieve, regions: Sequence[Region]) -> Region:
    found = sieve.everything
    for region in regions:
        found &= region
    return found


def _any(sieve: Sieve, regions: Sequence[Region]) -> Region:
    found = sieve.nothing
    for region in regions:
        found |= region
    return found


def _served(manager: Mapping[str, Any], mapped: Mapped) -> dict[str, Route]:
    """The systems that a route leads to. A system without one is not reached."""
    served = {
        (host, route["match"]["prefix"])
        for virtual in manager["route_config"]["virtual_hosts"]
        for host in virtual["domains"]
        for route in virtual["routes"]
    }
    return {name: route for name, route in mapped.resources.items() if (route.host, route.prefix) in served}


def _policies(filters: Mapping[str, Any], order: Sequence[str], manager: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The policies of the one ALLOW filter; token, filter and router stand in order, and paths have one reading."""
    if order != ["envoy.filters.http.jwt_authn", "envoy.filters.http.rbac", "envoy.filters.http.router"]:
        raise ExportError("the filters are not token, rules, router", where=_FILE)
    if not all(manager.get(one) is True for one in _NEEDED):
        raise ExportError("a path could be read in two ways", where=_FILE)
    if manager.get("path_with_escaped_slashes_action") != "REJECT_REQUEST":
        raise ExportError("a path could be read in two ways", where=_FILE)
    (requirement,) = filters["envoy.filters.http.jwt_authn"]["rules"]
    if requirement != {"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}:
        raise ExportError("a request could pass without a token", where=_FILE)
    rules = filters["envoy.filters.http.rbac"]["rules"]
    if rules.get("action") != "ALLOW":
        raise ExportError("only an ALLOW filter denies what no rule names", where=_FILE)
    return [policy for _, policy in sorted(rules["policies"].items())]
