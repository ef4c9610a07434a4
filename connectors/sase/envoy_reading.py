"""What an exported Envoy lets through, by Envoy's own documents, from `envoy.json` alone.

RBAC (api/envoy/config/rbac/v3/rbac.proto of Envoy 1.40): with the action ALLOW a request passes where any policy
matches, and only there; a policy matches where any of its permissions and any of its principals do; no policy at all
allows nothing. Before it `jwt_authn` has refused every request without a valid token, so that claims are facts here.

What this reading does not know it refuses (ExportError): another matcher, a header of the client, and whatever stands
around the policies otherwise than this mapping makes it (a filter switched off, another issuer, a second chain). It
knows of the claims what `claims_of` says a token carries: a word of `sets` stands for the profile of that id.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.controls import carried_out
from connectors.sase.envoy_config import bootstrap
from connectors.sase.regions import all_of, any_of, members_here
from connectors.sase.saying import value_text
from pdp.errors import ExportError
from pdp.model.rules import decode_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.sase.envoy_mapping import Mapped, Route
    from pdp.export.port import Region, Sieve
    from pdp.model.rules import FactValue, Profile, Resource

_ACTION: Final = "action.name"
_FILE: Final = "envoy.json"
_STEPS: Final = 3  # to a claim: the metadata's key, the claim of this service, the list in it
_OF_SYSTEM: Final = frozenset({"departments", "organisation"})  # how a person stands to one system: no claim says it
_RBAC: Final = "envoy.filters.http.rbac"


class EnvoyReading:
    """The port `Interpreter`."""

    def __init__(self, files: Mapping[str, bytes], mapped: Mapped) -> None:
        self._mapped = mapped
        try:
            config = json.loads(files[_FILE])
            policies = _policies(config, mapped)
            model = decode_model(files["model.json"])
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as fault:
            raise ExportError(f"not an exported Envoy: {type(fault).__name__}", where=_FILE) from None
        self._profiles: dict[str, Profile] = {profile.id: profile for profile in model.profiles}
        self._resources: dict[str, Resource] = {resource.id: resource for resource in model.resources}
        self._knows_actions = any(fact.name == _ACTION for fact in model.facts)
        self._policies = policies

    @property
    def given(self) -> Mapping[str, FactValue]:
        return dict(self._mapped.given)

    def permitted(self, resource: str, sieve: Sieve) -> Region:
        """As the port says: requests to the route of this system, with any method that is an action."""
        route = self._mapped.resources.get(resource)
        if route is None:
            return sieve.nothing
        found = sieve.nothing
        for policy in self._policies:
            _refuse_keys(policy, "permissions", "principals")  # a condition could turn on what is no fact
            here = [permission for permission in policy["permissions"] if _can_be_for(permission, route)]
            if not here:
                continue
            permissions = sieve.nothing
            for permission in here:
                permissions |= self._permission(permission, route, sieve)
            principals = sieve.nothing
            for principal in policy["principals"]:
                principals |= self._principal(principal, self._resources[resource], sieve)
            found |= permissions & principals
        if route.action is not None and self._knows_actions:  # whoever comes this way does nothing else
            found &= sieve.where([_ACTION], lambda value: bool(value == route.action))
        return found

    def unbound(self, resource: str, control: str, value: str | int, sieve: Sieve) -> Region:
        """As the port says: the files say nothing of controls, the mapping says what the applications carry out."""
        del resource
        return sieve.nothing if carried_out(control, value, self._mapped.enforces) else sieve.everything

    # Which request.

    def _permission(self, permission: Mapping[str, Any], route: Route, sieve: Sieve) -> Region:
        ((kind, held),) = permission.items()
        if kind == "any" and held is True:
            return sieve.everything
        if kind == "and_rules":
            return all_of([self._permission(one, route, sieve) for one in held["rules"]], sieve)
        if kind == "or_rules":
            return any_of([self._permission(one, route, sieve) for one in held["rules"]], sieve)
        if kind == "url_path":
            _refuse_keys(held, "path")
            _refuse_keys(held["path"], "prefix")
            return (
                sieve.everything
                if route.prefix.startswith(held["path"]["prefix"])
                else self._partly(route, held, sieve)
            )
        if kind == "header":
            _refuse_keys(held, "name", "string_match")  # `invert_match` would turn it around
            _refuse_keys(held["string_match"], "exact", "ignore_case")
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

    def _principal(self, principal: Mapping[str, Any], resource: Resource, sieve: Sieve) -> Region:
        ((kind, held),) = principal.items()
        if kind == "any" and held is True:
            return sieve.everything
        if kind == "and_ids":
            return all_of([self._principal(one, resource, sieve) for one in held["ids"]], sieve)
        if kind == "or_ids":
            return any_of([self._principal(one, resource, sieve) for one in held["ids"]], sieve)
        if kind == "sourced_metadata":
            _refuse_keys(held, "metadata_matcher")
            matcher = held["metadata_matcher"]
            _refuse_keys(matcher, "filter", "path", "value")  # `invert` would turn it around
            keys = [step["key"] for step in matcher["path"]]
            said = matcher["value"]["list_match"]["one_of"]["string_match"]
            _refuse_keys(said, "exact")
            verified = matcher["filter"] == "envoy.filters.http.jwt_authn"
            if verified and len(keys) == _STEPS and keys[:2] == ["sekisho", "sekisho"]:
                return self._claim(keys[2], said["exact"], resource, sieve)
        raise ExportError(f"a principal `{kind}` is not known", where=_FILE)

    def _claim(self, claim: str, word: str, resource: Resource, sieve: Sieve) -> Region:
        if claim == "sets" and word in self._profiles:
            return members_here(self._profiles[word], resource, sieve)
        name, equals, text = word.partition("=")
        if claim == "facts" and equals and name not in _OF_SYSTEM:
            return sieve.where([name], _says(text))
        raise ExportError(f"nobody fills the claim `{claim}` with `{word}`", where=_FILE)


def _can_be_for(permission: Mapping[str, Any], route: Route) -> bool:
    """False only where a permission is plainly for another host: what is unsure is read, and refused if unknown."""
    ((kind, held),) = permission.items()
    if kind == "and_rules":
        return all(_can_be_for(one, route) for one in held["rules"])
    if kind != "header" or set(held) != {"name", "string_match"} or held["name"] != ":authority":
        return True
    said = held["string_match"]
    return set(said) != {"exact", "ignore_case"} or route.host == said["exact"].lower()


def _says(text: str) -> Callable[[FactValue], bool]:
    return lambda value: value_text(value) == text


def _policies(config: Mapping[str, Any], mapped: Mapped) -> list[Mapping[str, Any]]:
    """The policies of the one ALLOW filter, where all that stands around them is what `bootstrap` makes of the mapping.

    Attack: one key that switches the filter off, reads a path in two ways or trusts another issuer leaves every policy
    as it was. Whole documents are compared, so that no list of such keys has to be complete.
    """
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    (filter_,) = [one for one in manager["http_filters"] if one["name"] == _RBAC]
    policies: Mapping[str, Mapping[str, Any]] = filter_["typed_config"]["rules"]["policies"]
    if _canonical(config) != _canonical(bootstrap(mapped, policies)):
        raise ExportError("what stands around the policies is not what this mapping makes it", where=_FILE)
    return [policy for _, policy in sorted(policies.items())]


def _canonical(config: Mapping[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)  # as text: `1` is not `true`


def _refuse_keys(held: Mapping[str, Any], *known: str) -> None:
    if unknown := sorted(set(held) - set(known)):
        raise ExportError(f"a rule with `{unknown[0]}` is not known", where=_FILE)
