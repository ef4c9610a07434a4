"""Everything that the console stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.console.accounts import Accounts
    from pdp.console.attempts import Attempts
    from pdp.console.deeds import Deeds
    from pdp.console.guard import Origin
    from pdp.console.inner import InnerApi
    from pdp.console.oidc import Provider
    from pdp.console.sealing import LoginSeal
    from pdp.console.sessions import Session, Sessions
    from pdp.console.view import View


@dataclass(frozen=True)
class House:
    """`provider` and `accounts` are None where the settings name none; one of them is there.

    `is_revoked`: whether the identity provider ended a login that this session rests on.
    """

    origin: Origin
    api: InnerApi
    view: View
    sessions: Sessions
    seal: LoginSeal
    deeds: Deeds
    clock: Callable[[], datetime]
    attempts: Attempts
    is_revoked: Callable[[Session], bool]
    provider: Provider | None = None
    accounts: Accounts | None = None
