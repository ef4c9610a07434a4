"""A Netskope tenant as deliveries write it: REST API v2, NPA rules, one request at a time.

Answers have an envelope (`status`, `data`), also where something is refused or gone: then `status` is `error` with 200.
Rules are staged until *Apply Changes*, for which the vendor publishes no call: `push` waits until the tenant says that
nothing is pending (`/policy/apply/status`), because an administrator, or the tenant's timer, has applied them.
Limits: 1,000 requests an hour and 30 a second by the OpenAPI, 4 a second for Private Access by the guide. Two rules
must not be made at once (the vendor's Terraform provider makes one after the other).

httpx and not the vendor's SDK: the SDK has no model of a rule at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.grants import MAX_TOKEN_CHARACTERS
from connectors.http import safe_url
from connectors.sase.netskope_things import MARK, RULE, NetskopeCourier
from connectors.strict_json import NotStrictJsonError, parse_object
from connectors.writing import OneApi, Pace, WritingApi
from pdp.delivery.port import Held, Key, Standing
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from connectors.grants import SendForm
    from connectors.setup import Setup
    from pdp.delivery.port import Courier, Thing

_HEADER: Final = "Netskope-Api-Token"
_RULES: Final = "/policy/npa/rules"
_STATUS: Final = "/policy/apply/status"
_OK: Final = 200
_PER_SECOND: Final = 2.0
_BURST: Final = 2  # with two more a second: 4 at most
_PER_HOUR: Final = 500  # in the long run, beside as many at once: 1,000 in any hour
_PER_PAGE: Final = 500
_MAX_PAGES: Final = 100
_MAX_EXPLANATION: Final = 200  # characters of the vendor's reason


class TenantSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`url`: `https://NAME.goskope.com`. `token_file`: a token with read and write for `/policy/npa/rules`.

    `poll_s`, `polls`: how often, and how many times, it is asked whether the changes are applied.
    """

    url: str
    token_file: str
    poll_s: float = 10.0
    polls: int = 180  # half an hour


def tenant(setup: Setup, courier: Courier) -> NetskopeTenant:
    """Raises SettingsError."""
    if not isinstance(courier, NetskopeCourier):
        raise SettingsError("this tenant is written with things of `netskope`")
    return NetskopeTenant(setup, courier)


class NetskopeTenant(OneApi):
    """The port `Tenant`."""

    _api: _Api

    def __init__(self, setup: Setup, courier: NetskopeCourier) -> None:
        settings = setup.read(TenantSettings)
        if not (settings.poll_s > 0 and settings.polls >= 1):
            raise SettingsError("`poll_s` and `polls` are more than nothing")
        url = f"{safe_url(settings.url, 'url')}/api/v2"
        token = _Token(setup.read_secret(settings.token_file))
        pace = NetskopePace(setup.clock, setup.sleep)
        self._api = _Api(setup, url, token, pace, _reason, header=_HEADER)
        self._settings = settings
        self._sleep = setup.sleep
        self._courier = courier
        self._ids: dict[Key, str] = {}

    # Reading.

    async def read(self) -> Standing:
        """As the port says. Of others: rules that may let somebody through to a private app of ours."""
        rules = await self._rules()
        place = self._courier.mapped.policy_group
        foreign = tuple(
            (Key(RULE, place, str(one.get("rule_name"))), True)  # the place in the list means nothing: it counts
            for one in rules
            if not _is_ours(one) and self._courier.may_let_through(one)
        )
        held = tuple(self._held(one) for one in rules if _is_ours(one))
        if len({one.thing.key for one in held}) < len(held):
            raise ConnectorError("the tenant lists two rules of one name", fault="inconsistent")
        return Standing(tuple(sorted(held, key=lambda one: one.thing.key)), foreign)

    async def look(self, key: Key) -> Held | None:
        """As the port says."""
        if key in self._ids:
            answer = await self._api.find(f"{_RULES}/{self._ids[key]}")
            shown = None if answer is None else answer.get("data")
            if isinstance(shown, dict) and shown.get("rule_name") == key.name:
                return self._held(shown)
        found = [one for one in await self._rules() if one.get("rule_name") == key.name]
        return self._held(found[0]) if found else None

    async def order(self, place: str) -> tuple[Key, ...]:
        """As the port says: the place in the list means nothing, and nothing is ordered."""
        del place
        return ()

    def _held(self, one: Mapping[str, Any]) -> Held:
        try:
            return self._courier.shown(one)
        except (KeyError, TypeError, ValueError):
            raise ConnectorError("a rule that is not shown as one", fault="malformed") from None

    async def _rules(self) -> list[dict[str, Any]]:
        """All NPA rules of the tenant."""
        found: list[dict[str, Any]] = []
        for _ in range(_MAX_PAGES):
            asked = [("limit", str(_PER_PAGE)), ("offset", str(len(found)))]
            rows = _data(await self._api.get(_RULES, asked))
            if not isinstance(rows, list) or not all(isinstance(one, dict) and "rule_id" in one for one in rows):
                raise ConnectorError("the rules are not shown as a list", fault="malformed")
            found += rows
            if len(rows) < _PER_PAGE:
                break
        else:
            raise ConnectorError(f"the tenant has more than {_MAX_PAGES} pages of rules", fault="inconsistent")
        place = self._courier.mapped.policy_group
        self._ids = {Key(RULE, place, str(one.get("rule_name"))): str(one["rule_id"]) for one in found if _is_ours(one)}
        return found

    # Writing.

    async def add(self, thing: Thing, *, live: bool) -> None:
        """As the port says."""
        made = _data(await self._api.write("POST", _RULES, self._courier.document(thing, live=live)))
        if isinstance(made, dict) and "rule_id" in made:
            self._ids[thing.key] = str(made["rule_id"])
        self._refuse_unlike(thing, made)

    async def change(self, thing: Thing, *, live: bool) -> None:
        """As the port says."""
        path = f"{_RULES}/{self._id(thing.key)}"
        answer = await self._api.write("PATCH", path, self._courier.document(thing, live=live))
        self._refuse_unlike(thing, _data(answer))

    async def remove(self, key: Key) -> None:
        """As the port says."""
        _data(await self._api.write("DELETE", f"{_RULES}/{self._id(key)}"))
        self._ids.pop(key, None)

    async def move(self, key: Key, behind: Key | None) -> None:
        """As the port says: nothing is ordered."""

    async def push(self, note: str, keep: Callable[[str], None]) -> None:
        """As the port says: somebody else applies the changes, and this waits for it."""
        del note, keep
        for _ in range(self._settings.polls):
            pending = await self._pending()
            if not pending:
                return
            await self._sleep(self._settings.poll_s)
        raise ConnectorError(
            "the rules wait for Apply Changes: press it in the console (Policies, Real-time Protection)",
            fault="timeout",
        )

    async def _pending(self) -> bool:
        listed = await self._api.anything(_STATUS)
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise ConnectorError("the state of the changes is not shown as a list", fault="malformed")
        if any(one.get("status") == "error" for one in listed):
            raise ConnectorError("the tenant could not apply the changes: look at the console", fault="refused")
        return bool(listed)

    def _refuse_unlike(self, thing: Thing, shown: Any) -> None:
        """Attack: an API that does not know `device_classification_id` and drops it makes an allow for any device."""
        if not isinstance(shown, dict) or "rule_data" not in shown:
            return  # it says nothing of the rule: the next look will
        kept = self._held({"rule_name": thing.key.name, "enabled": "0", **shown}).thing.body["rule_data"]
        wanted = thing.body["rule_data"]
        unlike = sorted(name for name in {*kept, *wanted} if kept.get(name) != wanted.get(name))
        if unlike:
            raise ConnectorError(f"the tenant has not kept `{unlike[0]}` of `{thing.key.name}`", fault="inconsistent")

    def _id(self, key: Key) -> str:
        if key not in self._ids:
            raise ConnectorError(f"`{key}` is not among the rules", fault="inconsistent")
        return self._ids[key]


class _Api(WritingApi):
    async def anything(self, path: str) -> Any:
        """What stands at a path, which need not be an object."""
        answer = await self._authorised("GET", path, (), None, patient=True)
        if answer.status != _OK:
            raise self._refusal(answer, path)
        try:
            return parse_object(b'{"all":' + answer.body + b"}")["all"]
        except NotStrictJsonError as fault:
            raise ConnectorError(f"`{path}`: {fault}", fault="malformed") from None


class _Token:
    """The port `Grant`: a token that an administrator made, as it stands."""

    def __init__(self, token: str) -> None:
        if not 0 < len(token) <= MAX_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
            raise SettingsError("the file of the API token holds something else")
        self._token = token

    async def authorization(self, _send: SendForm) -> str:
        return self._token

    def forget(self) -> bool:
        return False


class NetskopePace(Pace):
    """Both of the vendor's limits: of a second and of an hour."""

    def __init__(self, clock: Callable[[], datetime], sleep: Callable[[float], Awaitable[None]]) -> None:
        super().__init__(_PER_SECOND, _BURST, clock, sleep)
        self._hourly = Pace(_PER_HOUR / 3600, _PER_HOUR, clock, sleep)

    async def turn(self) -> None:
        """As `Pace` says."""
        await self._hourly.turn()
        await super().turn()


def _data(answer: dict[str, Any]) -> Any:
    """What is in the envelope. Raises ConnectorError for one that says `error` with 200."""
    if answer.get("status") == "error":
        shown = "".join(letter if letter.isprintable() else " " for letter in _reason(answer))
        raise ConnectorError(f"refused: {shown[:_MAX_EXPLANATION]}", fault="refused")
    return answer.get("data")


def _reason(refusal: dict[str, Any]) -> str:
    return str(refusal.get("message") or refusal.get("result") or "")


def _is_ours(one: Mapping[str, Any]) -> bool:
    return str(one.get("rule_name")).startswith(MARK)
