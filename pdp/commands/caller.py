"""`pdp caller`: enforcement points and machines, their permissions and their API keys."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from pdp.commands.options import AsJson, ConfigFile, DatabaseUrl, LangOption, StateDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from pdp.callers.keys import ListedCaller, ListedKey
    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings
    from pdp.store.store import Store

app = Typer(no_args_is_help=True, help="Enforcement points and their API keys.")

_CallerId = Annotated[str, Argument(metavar="CALLER", help="Name of the caller, as the decision log shows it.")]
_ExpiresInDays = Annotated[int | None, Option(min=1, help="The key ends after so many days; default: never.")]


@app.callback()
def caller() -> None:
    """Enforcement points and their API keys."""


@app.command("add")
def add(
    caller_id: _CallerId,
    permission: Annotated[
        list[str] | None, Option(help="A permission; may be given several times. Default: decide.")
    ] = None,
    expires_in_days: _ExpiresInDays = None,
    state_dir: StateDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Register a caller. Its key is printed once and cannot be had again."""
    from pdp.callers.keys import add_caller
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=as_json)
    permissions: Any = permission or ["decide"]  # checked by the register, which names those that exist
    with _changing(terminal, config, state_dir, database_url) as (store, now):
        key = add_caller(store, caller_id, permissions, now=now, expires_at=_after(now, expires_in_days))
    _hand_over(terminal, caller_id, key)


@app.command("rotate")
def rotate(
    caller_id: _CallerId,
    overlap_days: Annotated[int, Option(min=0, help="How long the present keys still count.")] = 7,
    expires_in_days: _ExpiresInDays = None,
    state_dir: StateDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Make a new key; the present ones end after the overlap. The key is printed once."""
    from datetime import timedelta

    from pdp.callers.keys import rotate_key
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=as_json)
    with _changing(terminal, config, state_dir, database_url) as (store, now):
        overlap = timedelta(days=overlap_days)
        key = rotate_key(store, caller_id, now=now, overlap=overlap, expires_at=_after(now, expires_in_days))
    _hand_over(terminal, caller_id, key)


@app.command("revoke")
def revoke(
    caller_id: _CallerId,
    key: Annotated[str | None, Option(help="Only this key, by its id; default: all keys of the caller.")] = None,
    state_dir: StateDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """End the keys of a caller now: every worker refuses them within a second or two."""
    from pdp.callers.keys import list_callers, revoke_caller, revoke_key
    from pdp.commands.terminal import Terminal
    from pdp.errors import BadRequestError

    terminal = Terminal(lang, as_json=as_json)
    with _changing(terminal, config, state_dir, database_url) as (store, now):
        if key is None:
            revoke_caller(store, caller_id, now=now)
        else:
            held = {listed.id: {one.key_id for one in listed.keys} for listed in list_callers(store)}
            if key not in held.get(caller_id, set()):
                raise BadRequestError(
                    f"the caller `{caller_id}` has no key `{key}`", next_step="`pdp caller list` names them"
                )
            revoke_key(store, key, now=now)
    if as_json:
        terminal.json({"id": caller_id, "revoked": "all" if key is None else key})
    terminal.say(terminal.pick(f"{caller_id} の鍵を失効させた", f"the keys of {caller_id} were revoked"))


@app.command("list")
def list_all(
    state_dir: StateDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Every caller with its permissions and keys; no secret is shown, for none is kept."""
    from pdp.callers.keys import list_callers
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=as_json)
    with _store(settings_of(config, state_dir=state_dir, database_url=database_url)) as (store, now):
        callers = list_callers(store)
    if as_json:
        terminal.json({"callers": [_caller_json(one, now) for one in callers]})
        return
    columns = (
        ["呼出し元", "権限", "鍵", "状態", "作成", "期限"]
        if terminal.lang == "ja"
        else ["caller", "permissions", "key", "state", "created", "expires"]
    )
    rows = []
    for one in callers:
        for key in one.keys:
            expires = "-" if key.expires_at is None else key.expires_at.isoformat(timespec="minutes")
            created = key.created_at.isoformat(timespec="minutes")
            rows.append([one.id, ", ".join(sorted(one.permissions)), key.key_id, _state(key, now), created, expires])
    terminal.table(columns, rows)


def _caller_json(one: ListedCaller, now: datetime) -> dict[str, Any]:
    return {
        "id": one.id,
        "permissions": sorted(one.permissions),
        "created_at": one.created_at.isoformat(),
        "keys": [_key_json(key, now) for key in one.keys],
    }


def _key_json(key: ListedKey, now: datetime) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "state": _state(key, now),
        "created_at": key.created_at.isoformat(),
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
        "revoked_at": None if key.revoked_at is None else key.revoked_at.isoformat(),
    }


def _state(key: ListedKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


def _after(now: datetime, days: int | None) -> datetime | None:
    from datetime import timedelta

    return None if days is None else now + timedelta(days=days)


def _hand_over(terminal: Terminal, caller_id: str, key: str) -> None:
    """The key alone on stdout, so that a script can take it; what to do with it on stderr."""
    if terminal.as_json:
        terminal.json({"id": caller_id, "key": key})
    else:
        terminal.say(key)
    terminal.remark(
        terminal.pick(
            "この鍵は一度しか表示されない。`Authorization: Bearer 鍵` として送る",
            "this key is shown once; send it as `Authorization: Bearer KEY`",
        )
    )


@contextmanager
def _changing(
    terminal: Terminal, config: Path | None, state_dir: str | None, database_url: str | None
) -> Iterator[tuple[Store, datetime]]:
    """(the configured store, now). After a block that ended well, the workers are told that callers have changed."""
    from pdp.commands.composed import settings_of
    from pdp.commands.telling import telling

    settings = settings_of(config, state_dir=state_dir, database_url=database_url)
    with telling(settings, terminal) as tell, _store(settings) as opened:
        yield opened
        tell("callers", "")


@contextmanager
def _store(settings: Settings) -> Iterator[tuple[Store, datetime]]:
    """(the configured store, now)."""
    from pdp.parts import open_directory, utc_now

    store = open_directory(settings)
    try:
        yield store, utc_now()
    finally:
        store.close()
