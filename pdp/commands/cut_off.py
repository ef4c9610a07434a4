"""`pdp cut-off`: addresses that gateways are to cut off at once, with a reason, an end and a person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option, Typer

from pdp.commands.call import StoreCall, spread

if TYPE_CHECKING:
    from pdp.commands.terminal import Terminal
    from pdp.cut_off.entries import CutOff

app = Typer(no_args_is_help=True, help="Addresses that gateways cut off at once (`/edl/cut-off`).")


@app.callback()
def cut_off() -> None:
    """Addresses that gateways cut off at once (`/edl/cut-off`)."""


@app.command("add")
@spread
def add(
    call: StoreCall,
    address: Annotated[str, Argument(metavar="ADDRESS", help="An address or a network: 203.0.113.7, 203.0.113.0/24.")],
    reason: Annotated[str, Option("--reason", help="Why; who reads the list later goes by it.")],
    hours: Annotated[int, Option("--hours", min=1, max=366 * 24, help="How long it is cut off.")],
) -> None:
    """Cut an address off. It is on the list with the next request for it."""
    from pdp.commands.composed import store_of
    from pdp.cut_off.entries import CutOff, canonical
    from pdp.cut_off.register import cut_off as put
    from pdp.parts import new_id, utc_now
    from pdp.trail.keeping import noted, os_user

    settings = call.settings()
    said, now = canonical(address), utc_now()
    entry = CutOff(new_id(), said, reason, os_user().id, now, now + timedelta(hours=hours))
    asked = {"address": said, "hours": hours}
    with store_of(settings) as store, noted(settings, "cut_off.add", asked, object=entry.id, reason=reason):
        put(store, entry)
    _show(call.terminal, [entry], one=True)


@app.command("lift")
@spread
def lift(
    call: StoreCall,
    entry_id: Annotated[str, Argument(metavar="ID", help="Of `pdp cut-off list`.")],
    reason: Annotated[str | None, Option("--reason", help="Why, for the trail.")] = None,
) -> None:
    """Take an address off the list before its end."""
    from pdp.commands.composed import store_of
    from pdp.cut_off.register import lift as take_off
    from pdp.parts import utc_now
    from pdp.trail.keeping import noted, os_user

    settings = call.settings()
    asked = {"id": entry_id}
    with store_of(settings) as store, noted(settings, "cut_off.lift", asked, object=entry_id, reason=reason):
        entry = take_off(store, entry_id, os_user().id, utc_now())
    _show(call.terminal, [entry], one=True)


@app.command("list")
@spread
def show(
    call: StoreCall,
    everything: Annotated[bool, Option("--all", help="Also those that have ended or were lifted.")] = False,
) -> None:
    """What is cut off now, by whom and until when."""
    from pdp.commands.composed import store_of
    from pdp.cut_off.register import entries
    from pdp.parts import utc_now

    settings = call.settings()
    with store_of(settings) as store:
        found = entries(store, None if everything else utc_now())
    _show(call.terminal, list(found), one=False)


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
