"""A ZPA customer as deliveries write it: OneAPI, access policy rules of v2, everything else of v1.

Rules are shown in the shape of v1, page by page (totals are text), and sent in that of v2; a new rule stands last;
PUT, DELETE and `reorder` answer 204. `reorder` takes all rules of the policy, those of others too, in one call that
counts at once: they keep their order among themselves. There is nothing to commit. Limits: 20 GET and 10 other calls
in ten seconds for an address, and the vendor's guides ask for one call at a time.

httpx and not the vendor's SDK: the SDK is not asynchronous, tries writes again by itself, and rewrites conditions (all
checks of one kind into one list, by OR).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.grants import ClientCredentials
from connectors.http import safe_url
from connectors.sase.zpa_things import MARK, PLACE, RULE, ZpaCourier
from connectors.writing import OneApi, Pace, WritingApi
from pdp.delivery.port import Held, Key, Standing
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.setup import Setup
    from pdp.delivery.port import Courier, Thing

_PER_SECOND: Final = 0.8  # of 10 writes in ten seconds, and of 20 reads
_BURST: Final = 2
_PER_PAGE: Final = 500  # the vendor's largest
_MAX_PAGES: Final = 100


class CustomerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The customer, and an API client of it. `login_url`: `https://NAME.zslogin.net`."""

    customer: str
    client_id: str
    client_secret_file: str
    login_url: str
    url: str = "https://api.zsapi.net"
    audience: str = "https://api.zscaler.com"


def tenant(setup: Setup, courier: Courier) -> ZpaTenant:
    """Raises SettingsError."""
    if not isinstance(courier, ZpaCourier):
        raise SettingsError("this customer is written with things of `zpa`")
    return ZpaTenant(setup, courier)


class ZpaTenant(OneApi):
    """The port `Tenant`."""

    def __init__(self, setup: Setup, courier: ZpaCourier) -> None:
        settings = setup.read(CustomerSettings)
        if not (settings.customer.isascii() and settings.customer.isdigit()):
            raise SettingsError("`customer` is the number of the customer")
        login = f"{safe_url(settings.login_url, 'login_url')}/oauth2/v1/token"
        secret = setup.read_secret(settings.client_secret_file)
        grant = ClientCredentials(login, settings.client_id, secret, audience=settings.audience, clock=setup.clock)
        url = f"{safe_url(settings.url, 'url')}/zpa/mgmtconfig"
        self._api = WritingApi(setup, url, grant, Pace(_PER_SECOND, _BURST, setup.clock, setup.sleep), _reason)
        self._v1 = f"/v1/admin/customers/{settings.customer}"
        self._v2 = f"/v2/admin/customers/{settings.customer}"
        self._courier = courier
        self._set = ""  # the id of the access policy
        self._ids: dict[Key, str] = {}

    # Reading.

    async def read(self) -> Standing:
        """As the port says. Of others: rules that may let somebody through to a segment of ours."""
        rules = await self._rules()
        ours = [number for number, one in enumerate(rules) if _is_ours(one)]
        last = ours[-1] if ours else -1
        foreign = tuple(
            (Key(RULE, PLACE, str(one.get("name"))), number < last)
            for number, one in enumerate(rules)
            if not _is_ours(one) and self._courier.may_let_through(one)
        )
        return Standing(tuple(self._held(one) for one in rules if _is_ours(one)), foreign)

    async def look(self, key: Key) -> Held | None:
        """As the port says."""
        return next((self._held(one) for one in await self._rules() if one.get("name") == key.name), None)

    async def order(self, place: str) -> tuple[Key, ...]:
        """As the port says."""
        return tuple(Key(RULE, place, one["name"]) for one in await self._rules() if _is_ours(one))

    def _held(self, one: Mapping[str, Any]) -> Held:
        try:
            return Held(self._courier.shown(one), live=str(one.get("disabled") or "0") == "0")
        except (KeyError, TypeError, ValueError):
            raise ConnectorError("a rule that is not shown as one", fault="malformed") from None

    async def _rules(self) -> list[dict[str, Any]]:
        """All rules of the access policy, in their order."""
        found: list[dict[str, Any]] = []
        for page in range(1, _MAX_PAGES + 1):
            asked = [("page", str(page)), ("pagesize", str(_PER_PAGE))]
            answer = await self._api.get(f"{self._v1}/policySet/rules/policyType/ACCESS_POLICY", asked)
            rows = answer.get("list") or []
            pages = str(answer.get("totalPages", ""))
            if not isinstance(rows, list) or not pages.isdigit() or not all("id" in one for one in rows):
                raise ConnectorError("the access policy is not shown as a list", fault="malformed")
            found += rows
            if page >= int(pages):
                break
        else:
            raise ConnectorError(f"the access policy has more than {_MAX_PAGES} pages", fault="inconsistent")
        found.sort(key=_order)
        self._ids = {Key(RULE, PLACE, str(one.get("name"))): str(one["id"]) for one in found if _is_ours(one)}
        return found

    # Writing.

    async def add(self, thing: Thing, *, live: bool) -> None:
        """As the port says."""
        await self._api.write("POST", f"{await self._policy(self._v2)}/rule", self._document(thing, live=live))

    async def change(self, thing: Thing, *, live: bool) -> None:
        """As the port says."""
        path = f"{await self._policy(self._v2)}/rule/{self._id(thing.key)}"
        await self._api.write("PUT", path, self._document(thing, live=live))

    async def remove(self, key: Key) -> None:
        """As the port says."""
        await self._api.write("DELETE", f"{await self._policy(self._v1)}/rule/{self._id(key)}")

    async def move(self, key: Key, behind: Key | None) -> None:
        """As the port says; the beginning is before the first of ours, so that no deny of others is passed by."""
        rules = await self._rules()
        ids = [str(one["id"]) for one in rules if one.get("name") != key.name]
        if behind is None:
            first = next((str(one["id"]) for one in rules if _is_ours(one) and one["name"] != key.name), None)
            at = len(ids) if first is None else ids.index(first)
        else:
            at = ids.index(self._id(behind)) + 1
        ids.insert(at, self._id(key))
        await self._api.write("PUT", f"{await self._policy(self._v1)}/reorder", ids)

    async def push(self, note: str, keep: Callable[[str], None]) -> None:
        """As the port says: there is nothing to commit."""

    async def _policy(self, base: str) -> str:
        """The path of the access policy."""
        if not self._set:
            answer = await self._api.get(f"{self._v1}/policySet/policyType/ACCESS_POLICY")
            if not str(answer.get("id", "")).isdigit():
                raise ConnectorError("the access policy has no id", fault="malformed")
            self._set = str(answer["id"])
        return f"{base}/policySet/{self._set}"

    def _id(self, key: Key) -> str:
        if key not in self._ids:
            raise ConnectorError(f"`{key}` is not in the access policy", fault="inconsistent")
        return self._ids[key]

    @staticmethod
    def _document(thing: Thing, *, live: bool) -> dict[str, Any]:
        return {"name": thing.key.name, "disabled": "0" if live else "1", **thing.body}


def _reason(refusal: dict[str, Any]) -> str:
    return f"{refusal['id']}: {refusal['reason']}"


def _is_ours(one: Mapping[str, Any]) -> bool:
    return str(one.get("name")).startswith(MARK)


def _order(one: Mapping[str, Any]) -> int:
    order = str(one.get("ruleOrder", ""))
    if not order.isdigit():
        raise ConnectorError("a rule of the access policy has no place", fault="malformed")
    return int(order)
