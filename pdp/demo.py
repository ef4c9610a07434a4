"""`pdp serve --demo`: the demonstration prefecture, made afresh at each start, and a line to try it with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.callers.caller import PERMISSIONS
from pdp.callers.keys import issue_caller
from pdp.console.accounts import demonstration_accounts
from pdp.directory.demo import write_demonstration
from pdp.model.console import ROLES, ConsoleSettings
from pdp.model.issuer import LOOPBACK
from pdp.store.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.settings import Settings

CALLER: Final = "demo-gateway"

_REQUEST: Final = {
    "subject": {
        "type": "user",
        "id": "u-demo-staff",
        "properties": {"claims": {"acr": "urn:sekisho:auth-level:2"}},
    },
    "action": {"name": "access"},
    "resource": {"type": "application", "id": "groupware"},
    "context": {"device": {"id": "d-demo-pc"}, "network": {"source_ip": "10.0.0.1"}},
}


def prepare_demo(settings: Settings) -> tuple[Settings, str]:
    """(settings on a database of its own, the introduction to print, with `{base_url}` open).

    The operator's database is never touched. Posture reports are as old as a real prefecture's would be
    at this moment, so a demonstration that runs for more than a day shows terminals that went stale.
    """
    place = settings.state_path / "demo"
    place.mkdir(parents=True, exist_ok=True)
    settings = msgspec.structs.replace(settings, state_dir=str(place), database_url="")
    now = datetime.now(UTC)
    store = open_store(settings.store_url)
    try:
        store.migrate()
        write_demonstration(store, now)
        key = issue_caller(store, CALLER, PERMISSIONS, now=now)
    finally:
        store.close()
    body = json.dumps(_REQUEST, separators=(",", ":"))
    settings, logins = _with_console(settings, place)
    return settings, _INTRODUCTION.replace("{key}", key).replace("{body}", body).replace("{console}", logins)


def _with_console(settings: Settings, place: Path) -> tuple[Settings, str]:
    """A console with an account for each role, made afresh; only where nobody but this machine reaches it."""
    if settings.console is not None or settings.host not in LOOPBACK or settings.public_url:
        return settings, ""
    accounts = place / "console-accounts.txt"
    password = demonstration_accounts(accounts)
    console = ConsoleSettings(accounts_file=str(accounts))
    logins = _CONSOLE.replace("{roles}", ", ".join(ROLES)).replace("{password}", password)
    return msgspec.structs.replace(settings, console=console), logins


_INTRODUCTION: Final = """
関所 Sekisho: the demonstration prefecture is open at {base_url}

Ask for a decision (デモ用の判定):

  curl -s {base_url}/access/v1/evaluation \\
    -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' \\
    -d '{body}'

{console}OpenAPI: {base_url}/openapi.json   metrics: {base_url}/metrics   ready: {base_url}/readyz
Stop with Ctrl-C.
"""
_CONSOLE: Final = """Console (管理画面): {base_url}/console/
  accounts, one for each role (役割ごとのアカウント): {roles}
  password of all of them, until the next start (パスワード): {password}

"""
