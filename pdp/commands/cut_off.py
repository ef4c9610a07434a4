"""`pdp cut-off`: addresses that gateways are to cut off at once, with a reason, an end and a person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from pdp.commands.options import AsJson, ConfigFile, DatabaseUrl, LangOption, StateDir

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.commands.terminal import Terminal
    from pdp.cut_off.entries import CutOff
    from pdp.settings import Settings
    from pdp.store.store import Store

app = Typer(no_args_is_help=True, help="Addresses that gateways cut off at once (`/edl/cut-off`).")


@app.callback()
def cut_off() -> None:
    """Addresses that gateways cut off at once (`/edl/cut-off`)."""


@app.command("add")
def add(
    address: Annotated[str, Argument(metavar="ADDRESS", help="An address or a network: 203.0.113.7, 203.0.113.0/24.")],
    reason: Annotated[str, Option("--reason", help="Why; who reads the list later goes by it.")],
    hours: Annotated[int, Option("--hours", min=1, max=366 * 24, help="How long it is cut off.")],
    state_dir: StateDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Cut an address off. It is on the list with the next request for it."""
    from pdp.cut_off.entries import CutOff, canonical
    from pdp.cut_off.register import cut_off as put
    from pdp.parts import new_id, utc_now
    from pdp.trail.keeping import noted, os_user

    terminal, settings = _begun(lang, config, state_dir, database_url, as_json=as_json)
    said, now = canonical(address), utc_now()
    entry = CutOff(new_id(), said, reason, os_user().id, now, now + timedelta(hours=hours))
    store = _store(settings)
    try:
        with noted(settings, "cut_off.add", {"address": said, "hours": hours}, object=entry.id, reason=reason):
            put(store, entry)
    finally:
        store.close()
    _show(terminal, [entry], one=True)


@app.command("lift")
def lift(
    entry_id: Annotated[str, Argument(metavar="ID", help="Of `pdp cut-off list`.")],
    reason: Annotated[str | None, Option("--reason", help="Why, for the trail.")] = None,
    state_dir: StateDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Take an address off the list before its end."""
    from pdp.cut_off.register import lift as take_off
    from pdp.parts import utc_now
    from pdp.trail.keeping import noted, os_user

    terminal, settings = _begun(lang, config, state_dir, database_url, as_json=as_json)
    store = _store(settings)
    try:
        with noted(settings, "cut_off.lift", {"id": entry_id}, object=entry_id, reason=reason):
            entry = take_off(store, entry_id, os_user().id, utc_now())
    finally:
        store.close()
    _show(terminal, [entry], one=True)


@app.command("list")
def show(
    everything: Annotated[bool, Option("--all", help="Also those that have ended or were lifted.")] = False,
    state_dir: StateDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """What is cut off now, by whom and until when."""
    from pdp.cut_off.register import entries
    from pdp.parts import utc_now

    terminal, settings = _begun(lang, config, state_dir, database_url, as_json=as_json)
    store = _store(settings)
    try:
        found = entries(store, None if everything else utc_now())
    finally:
        store.close()
    _show(terminal, list(found), one=False)


def _begun(
    lang: Any, config: Path | None, state_dir: str | None, database_url: str | None, *, as_json: bool
) -> tuple[Terminal, Settings]:
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal

    return Terminal(lang, as_json=as_json), settings_of(config, state_dir=state_dir, database_url=database_url)


def _store(settings: Settings) -> Store:
    from pdp.parts import open_directory

    return open_directory(settings)


def _show(terminal: Terminal, found: list[CutOff], *, one: bool) -> None:
    if terminal.as_json:
        told = [
            {
                "id": entry.id,
                "address": entry.address,
                "reason": entry.reason,
                "by": entry.by,
                "begins": entry.begins.isoformat(),
                "ends": entry.ends.isoformat(),
                "lifted_at": None if entry.lifted_at is None else entry.lifted_at.isoformat(),
                "lifted_by": entry.lifted_by,
            }
            for entry in found
        ]
        terminal.json(told[0] if one else told)
        return
    terminal.table(
        [
            "ID",
            terminal.pick("アドレス", "address"),
            terminal.pick("理由", "reason"),
            terminal.pick("登録者", "by"),
            terminal.pick("期限", "until"),
            terminal.pick("解除", "lifted"),
        ],
        [
            [entry.id, entry.address, entry.reason, entry.by, _told(entry.ends), _told(entry.lifted_at)]
            for entry in found
        ],
    )


def _told(moment: datetime | None) -> str:
    from pdp.model.directory import JST

    return "" if moment is None else moment.astimezone(JST).strftime("%Y-%m-%d %H:%M")
