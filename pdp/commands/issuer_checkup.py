"""The examination of the identity providers by `pdp doctor`: can their keys be had, and are there any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.commands.finding import Finding, fail, ok

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.identity.provider import KeyState
    from pdp.model.issuer import Issuer
    from pdp.settings import Settings


async def issuer_findings(settings: Settings, pick: Callable[[str, str], str]) -> list[Finding]:
    """One finding for each issuer; none where none is configured. Its keys are fetched as the service would."""
    topic = pick("認証基盤", "issuer")
    found: list[Finding] = []
    for issuer in settings.issuers:
        name = issuer.issuer
        try:
            state = await _state(issuer)
        except ValueError as fault:
            found.append(fail(topic, f"{name}: {fault}", pick("設定を直す", "correct the settings")))
            continue
        if state.fault is None and state.keys:
            found.append(ok(topic, pick(f"{name}: 鍵 {state.keys} 個", f"{name}: {state.keys} keys")))
        else:
            detail = state.fault or pick("使える鍵がない", "it has no key that we can use")
            step = pick("アドレス・証明書・`hosts` を確認する", "look at its address, its certificate and `hosts`")
            found.append(fail(topic, f"{name}: {detail}", step))
    return found


async def _state(issuer: Issuer) -> KeyState:
    from pdp.identity.fetching import GuardedFetch
    from pdp.identity.provider import IssuerKeys, loader
    from pdp.parts import utc_now

    keys = IssuerKeys(issuer, loader(issuer, GuardedFetch(issuer)), utc_now)
    keys.refresh()
    await keys.settled()
    return keys.state()
