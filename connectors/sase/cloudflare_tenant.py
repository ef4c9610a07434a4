"""A Cloudflare account as deliveries write it: API v4, by the vendor's reference of Zero Trust.

`GET` pages of Access (`page`, `per_page`), single pages of posture and Gateway rules; POST gives a policy its id; PUT
replaces a whole object. An application is bound by the mapping and is never taken away; what belongs to how it looks
(`_KEPT`) stays as the account has it, and what else the account has and we do not know is drift. A posture rule is
bound too: the administrator makes it, and it is ours while it carries our name for its set. Limits: 1,200 calls in five
minutes for a user, all tokens and the dashboard together; of these, 700 at most are made.

httpx and not the vendor's SDK: the SDK has 57 MB, checks nothing that it sends, and tries writes again by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.grants import FixedToken
from connectors.http import safe_url
from connectors.sase.cloudflare_gateway import leads_past
from connectors.sase.cloudflare_things import (
    APPLICATION,
    GUARD,
    MARK,
    PARKED,
    POLICY,
    POSTURE_RULE,
    CloudflareCourier,
)
from connectors.writing import OneApi, Pace, WritingApi
from pdp.delivery.port import Held, Key, Standing
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.setup import Setup
    from pdp.delivery.port import Courier, Thing

_PER_SECOND: Final = 2.0  # of 1,200 in five minutes
_BURST: Final = 100
_PER_PAGE: Final = 100
_MAX_PAGES: Final = 50  # 500 policies and 500 applications are all that an account has
_POLICIES: Final = "/access/policies"
_APPLICATIONS: Final = "/access/apps"
_POSTURE: Final = "/devices/posture"
_RULES: Final = "/gateway/rules"
_POLICY_ADDED: Final = frozenset(
    {"id", "uid", "name", "created_at", "updated_at", "app_count", "reusable", "account_id", "precedence"}
)
_APPLICATION_ADDED: Final = frozenset(
    {"id", "uid", "aud", "created_at", "updated_at", "policies", "self_hosted_domains", "destinations", "domain_type"}
)
# What an application looks like, and what only takes away: stays as the account has it.
_KEPT: Final = frozenset(
    {
        "app_launcher_visible", "logo_url", "tags", "custom_deny_message", "custom_deny_url",
        "custom_non_identity_deny_url", "custom_pages", "auto_redirect_to_identity", "http_only_cookie_attribute",
        "same_site_cookie_attribute", "enable_binding_cookie", "app_launcher_logo_url", "landing_page_design",
    }
)  # fmt: skip
_APPLICATION: Final = (
    "name", "type", "domain", "allowed_idps", "allow_authenticate_via_warp", "options_preflight_bypass",
    "session_duration",
)  # fmt: skip
_ADDRESSES: Final = ("self_hosted_domains", "destinations")
_POSTURE_ADDED: Final = frozenset({"id", "enabled"})
_RULE_ADDED: Final = frozenset(
    {
        "id", "name", "enabled", "created_at", "updated_at", "deleted_at", "version", "read_only", "sharable",
        "source_account", "warning_status",
    }
)  # fmt: skip


class AccountSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The account and a token of it: Access: Apps and Policies, Zero Trust, both to edit."""

    account: str
    token_file: str
    url: str = "https://api.cloudflare.com/client/v4"


def tenant(setup: Setup, courier: Courier) -> CloudflareTenant:
    """Raises SettingsError."""
    if not isinstance(courier, CloudflareCourier):
        raise SettingsError("this account is written with things of `cloudflare`")
    return CloudflareTenant(setup, courier)


class CloudflareTenant(OneApi):
    """The port `Tenant`."""

    def __init__(self, setup: Setup, courier: CloudflareCourier) -> None:
        settings = setup.read(AccountSettings)
        if not (settings.account.isascii() and settings.account.isalnum()):
            raise SettingsError("`account` is the id of the account, 32 letters and digits")
        grant = FixedToken(setup.read_secret(settings.token_file))
        url = f"{safe_url(settings.url, 'url')}/accounts/{settings.account}"
        self._api = WritingApi(setup, url, grant, Pace(_PER_SECOND, _BURST, setup.clock, setup.sleep), _reason)
        self._courier = courier
        self._ids: dict[Key, str] = {}  # of policies and Gateway rules, as last seen

    # Reading.

    async def read(self) -> Standing:
        """As the port says. Of others: Gateway rules that let traffic past the guard."""
        rules = await self._list(_RULES)
        held = [
            *await self._posture_rules(),
            *(await self._policies()).values(),
            *(await self._applications()).values(),
            *self._guards(rules),
        ]
        return Standing(tuple(held), tuple((Key(GUARD, "", name), True) for name in leads_past(rules, MARK)))

    async def look(self, key: Key) -> Held | None:
        """As the port says."""
        if key.kind == POLICY:
            return (await self._policies()).get(key)
        if key.kind == APPLICATION:
            await self._policies()
            return self._application(await self._shown(key), self._names())
        found = await self._posture_rules() if key.kind == POSTURE_RULE else self._guards(await self._list(_RULES))
        return next((one for one in found if one.thing.key == key), None)

    async def order(self, place: str) -> tuple[Key, ...]:
        """As the port says: nothing of ours stands in a list."""
        del place
        return ()

    async def _posture_rules(self) -> list[Held]:
        ours = {kept.rule: f"zt-{name}" for name, kept in self._courier.mapped.sets.items()}
        shown = await self._list(_POSTURE)
        mine = [one for one in shown if ours.get(str(one.get("id"))) == one.get("name")]
        return [Held(self._courier.posture(one["id"], _told(one, _POSTURE_ADDED))) for one in mine]

    async def _policies(self) -> dict[Key, Held]:
        """Ours by their names; of two with one name (a lost answer), the one that is linked."""
        shown = [one for one in await self._paged(_POLICIES) if str(one.get("name")).startswith(MARK)]
        found: dict[Key, Held] = {}
        for one in sorted(shown, key=lambda policy: -int(policy.get("app_count") or 0)):
            held = Held(self._courier.policy(one["name"], _told(one, _POLICY_ADDED)))
            if held.thing.key not in found:
                found[held.thing.key] = held
                self._ids[held.thing.key] = str(one["id"])
        for key in [one for one in self._ids if one.kind == POLICY and one not in found]:
            del self._ids[key]
        return found

    async def _applications(self) -> dict[Key, Held]:
        """Those of the mapping that link a policy of ours, and any other that does."""
        names = self._names()
        shown = [self._application(one, names) for one in await self._paged(_APPLICATIONS)]
        return {one.thing.key: one for one in shown if one is not None}

    def _names(self) -> dict[str, str]:
        """Our policies' names by their ids."""
        return {identifier: key.name for key, identifier in self._ids.items() if key.kind == POLICY}

    def _application(self, shown: Mapping[str, Any], names: Mapping[str, str]) -> Held | None:
        links = sorted(shown.get("policies") or (), key=lambda link: int(link["precedence"]))
        if not any(link["id"] in names for link in links):
            return None
        more = {name: shown[name] for name in shown if name not in (*_APPLICATION, *_KEPT, *_APPLICATION_ADDED)}
        body = {name: shown.get(name) for name in _APPLICATION} | {name: one for name, one in more.items() if one}
        if others := _others(shown, shown.get("domain")):  # addresses that the export does not name
            body["destinations"] = others
        body["policies"] = [names.get(link["id"], f"!{link['id']}") for link in links]
        return Held(self._courier.application(str(shown["id"]), body))

    def _guards(self, rules: list[dict[str, Any]]) -> list[Held]:
        found = []
        for one in rules:
            if str(one.get("name")).startswith(MARK):
                thing = self._courier.guard(one["name"], _told(one, _RULE_ADDED))
                self._ids[thing.key] = str(one["id"])
                found.append(Held(thing, live=one.get("enabled") is True))
        return found

    # Writing.

    async def add(self, thing: Thing, *, live: bool) -> None:
        """As the port says."""
        if thing.key.kind in (APPLICATION, POSTURE_RULE):
            await self.change(thing, live=live)
            return
        path = _POLICIES if thing.key.kind == POLICY else _RULES
        answer = await self._api.write("POST", path, self._document(thing, live=live))
        result = answer.get("result")
        if isinstance(result, dict) and "id" in result:  # else it is found by its name
            self._ids[thing.key] = str(result["id"])

    async def change(self, thing: Thing, *, live: bool) -> None:
        """As the port says."""
        if thing.key.kind == POSTURE_RULE:
            rule = self._courier.mapped.sets[thing.key.name].rule
            await self._api.write("PUT", f"{_POSTURE}/{rule}", thing.body)
        elif thing.key.kind == APPLICATION:
            links = [{"id": self._id(Key(POLICY, "", name)), "precedence": at} for at, name in _numbered(thing)]
            shown = await self._shown(thing.key)
            # Attack, or a slip: an address that drops out of its application is no longer behind Access at all.
            named = [one for one in (shown.get("domain"), *_others(shown, None)) if one]
            if strays := sorted({*named} - {thing.body.get("domain")}):
                raise ConnectorError(
                    f"`{thing.key}` protects `{strays[0]}` as well, which the export does not name",
                    fault="refused",
                    next_step="give that address an application of its own, and take it out of this one",
                )
            await self._put_application(thing.key, shown, {**thing.body, "policies": links})
        else:
            path = _POLICIES if thing.key.kind == POLICY else _RULES
            await self._api.write("PUT", f"{path}/{self._id(thing.key)}", self._document(thing, live=live))

    async def remove(self, key: Key) -> None:
        """As the port says; an application loses its policies and none of its addresses, a posture rule our name."""
        if key.kind == APPLICATION:
            shown = await self._shown(key)
            body = {name: shown[name] for name in (*_APPLICATION, *_ADDRESSES) if shown.get(name) is not None}
            await self._put_application(key, shown, {**body, "policies": []})
        elif key.kind == POSTURE_RULE:
            rule = self._courier.mapped.sets[key.name].rule
            shown = await self._one(f"{_POSTURE}/{rule}")
            body = {**_told(shown, _POSTURE_ADDED), "name": f"{PARKED}{key.name}"}
            await self._api.write("PUT", f"{_POSTURE}/{rule}", body)
        else:
            path = _POLICIES if key.kind == POLICY else _RULES
            await self._api.write("DELETE", f"{path}/{self._id(key)}")
            del self._ids[key]

    async def move(self, key: Key, behind: Key | None) -> None:
        """As the port says: never asked for, since nothing of ours stands in a list."""
        del behind
        raise ConnectorError(f"`{key}` has no place among others", fault="refused")

    async def push(self, note: str, keep: Callable[[str], None]) -> None:
        """As the port says: what is written counts."""

    async def _shown(self, key: Key) -> dict[str, Any]:
        return await self._one(f"{_APPLICATIONS}/{self._courier.app_id(key.name)}")

    async def _put_application(self, key: Key, shown: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        kept = {name: shown[name] for name in sorted(_KEPT) if shown.get(name) is not None}
        await self._api.write("PUT", f"{_APPLICATIONS}/{self._courier.app_id(key.name)}", {**kept, **body})

    def _id(self, key: Key) -> str:
        if key not in self._ids:
            raise ConnectorError(f"`{key}` is not in the account", fault="inconsistent")
        return self._ids[key]

    @staticmethod
    def _document(thing: Thing, *, live: bool) -> dict[str, Any]:
        state = {} if thing.key.kind == POLICY else {"enabled": live}
        return {"name": thing.key.name, **state, **thing.body}

    # Answers.

    async def _list(self, path: str) -> list[dict[str, Any]]:
        return _rows(await self._api.get(path))

    async def _one(self, path: str) -> dict[str, Any]:
        return _result(await self._api.get(path))

    async def _paged(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in range(1, _MAX_PAGES + 1):
            answer = await self._api.get(path, [("page", str(page)), ("per_page", str(_PER_PAGE))])
            found += _rows(answer)
            info = answer.get("result_info")
            total = info.get("total_count") if isinstance(info, dict) else None
            if not isinstance(total, int):
                raise ConnectorError(f"`{path}`: the account does not say how many there are", fault="malformed")
            if len(found) >= total:
                return found
        raise ConnectorError(f"`{path}`: more than {_MAX_PAGES} pages", fault="inconsistent")


def _numbered(thing: Thing) -> list[tuple[int, str]]:
    return list(enumerate(thing.body["policies"], 1))


def _others(shown: Mapping[str, Any], domain: Any) -> list[str]:
    """What an application protects beside this domain; a private destination has no address of the web."""
    found = [one for one in shown.get("self_hosted_domains") or () if one != domain]
    return found + [str(one.get("uri", one)) for one in shown.get("destinations") or () if one.get("uri") != domain]


def _told(shown: Mapping[str, Any], added: frozenset[str]) -> dict[str, Any]:
    """What somebody said of an object: without what the account adds, and without what is empty."""
    return {
        name: value for name, value in shown.items() if name not in added and value not in (None, "", [], {}, False)
    }


def _rows(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = answer.get("result")
    if (
        answer.get("success") is not True
        or not isinstance(rows, list)
        or not all(isinstance(one, dict) for one in rows)
    ):
        raise ConnectorError("the account answered something else than a list", fault="malformed")
    return rows


def _reason(refusal: dict[str, Any]) -> str:
    return str(refusal["errors"][0]["message"])


def _result(answer: Mapping[str, Any]) -> dict[str, Any]:
    result = answer.get("result")
    if answer.get("success") is not True or not isinstance(result, dict) or "id" not in result:
        raise ConnectorError("the account answered something else than an object", fault="malformed")
    return result
