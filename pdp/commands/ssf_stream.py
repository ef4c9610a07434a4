"""`pdp ssf stream` and `pdp ssf keys`: what receivers asked us to send, and the keys that sign it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from typer import Argument, Option, Typer

from pdp.commands.call import StateCall, StoreCall, spread

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.commands.terminal import Terminal
    from pdp.model.ssf_transmitter import SsfTransmitter
    from pdp.settings import Settings
    from pdp.ssf.sending.outbox import Post, Standing
    from pdp.ssf.sending.streams import Status, Stream
    from pdp.store.store import Store

app: Final = Typer(no_args_is_help=True, help="Streams of security events that others have asked us for.")
keys: Final = Typer(no_args_is_help=True, help="The keys that sign security events: list them, rotate them.")

StreamId = Annotated[str, Argument(metavar="STREAM", help="Of `pdp ssf stream list`.")]
Why = Annotated[str, Option("--reason", help="Why; the receiver is told, and the trail keeps it.")]


def register(ssf: Typer) -> None:
    """Below `pdp ssf`: `stream` and `keys`."""
    ssf.add_typer(app, name="stream")
    ssf.add_typer(keys, name="keys")


@app.callback()
def stream() -> None:
    """Streams of security events that others have asked us for."""


@app.command("list")
@spread
def show(call: StoreCall) -> None:
    """Every stream: whose it is, where it goes, what waits in it, and what is wrong with it."""
    from pdp.commands.composed import store_of
    from pdp.ssf.sending import outbox, register

    with store_of(call.settings()) as store:
        streams, waiting = register.listed(store), outbox.standings(store)
    _show(call.terminal, streams, waiting)


@app.command("pause")
@spread
def pause(call: StoreCall, stream_id: StreamId, reason: Why) -> None:
    """Stop a stream and keep what comes. Only `resume` lets it go on, and its receiver is told."""
    _operated(call, stream_id, "paused", reason)


@app.command("disable")
@spread
def disable(call: StoreCall, stream_id: StreamId, reason: Why) -> None:
    """Stop a stream and drop what waits and comes. Only `resume` lets it go on, and its receiver is told."""
    _operated(call, stream_id, "disabled", reason)


@app.command("resume")
@spread
def resume(call: StoreCall, stream_id: StreamId, reason: Why = "") -> None:
    """Let a stream go on, and try at once where a receiver did not take what was pushed."""
    _operated(call, stream_id, "enabled", reason)


@app.command("verify")
@spread
def verify(call: StoreCall, stream_id: StreamId) -> None:
    """Send a verification event. `pdp ssf stream list` shows whether it was taken."""
    from pdp.commands.composed import store_of
    from pdp.parts import utc_now
    from pdp.ssf.sending import register
    from pdp.trail.keeping import noted

    settings = call.settings()
    with store_of(settings) as store, noted(settings, "ssf.stream.verify", {}, object=stream_id):
        found = register.find(store, stream_id, None)
        with store.write() as connection:
            _post(settings).put_verification(connection, found, None, utc_now())
        _show_one(call.terminal, store, found)


@app.command("delete")
@spread
def delete(call: StoreCall, stream_id: StreamId, reason: Why) -> None:
    """Delete a stream with all that waits in it. Its receiver is not told, and may make another one."""
    from pdp.commands.composed import store_of
    from pdp.ssf.sending import register
    from pdp.trail.keeping import noted

    settings = call.settings()
    with store_of(settings) as store, noted(settings, "ssf.stream.delete", {}, object=stream_id, reason=reason):
        register.remove(store, stream_id, None)
    call.terminal.answer(
        {"deleted": stream_id}, call.terminal.pick(f"{stream_id} を削除しました", f"{stream_id} is deleted")
    )


@keys.command("list")
@spread
def list_keys(call: StateCall) -> None:
    """Every key that is published, the oldest first. Private parts are never shown."""
    from pdp.commands.keys import show_keys
    from pdp.identity.signing import list_keys as listed
    from pdp.parts import security_event_keys_file

    show_keys(listed(security_event_keys_file(call.settings())), call.terminal)


@keys.command("rotate")
@spread
def rotate(call: StateCall) -> None:
    """Publish a new key, which signs from an hour later on; the old one goes an hour after that.

    Running workers see it within seconds. On several hosts, rotate once and copy the file to the others.
    """
    from pdp.commands.keys import show_keys
    from pdp.identity.signing import rotate_keys
    from pdp.parts import security_event_keys_file, utc_now
    from pdp.trail.keeping import noted

    settings = call.settings()
    with noted(settings, "ssf.keys.rotate", {}):
        rotated = rotate_keys(security_event_keys_file(settings), utc_now())
    show_keys(rotated, call.terminal)


def _operated(call: StoreCall, stream_id: str, status: Status, reason: str) -> None:
    from pdp.commands.composed import store_of
    from pdp.errors import BadRequestError
    from pdp.parts import utc_now
    from pdp.ssf.sending import register
    from pdp.ssf.sending.requests import MAX_REASON
    from pdp.trail.keeping import noted

    if len(reason) > MAX_REASON or not reason.isprintable():
        raise BadRequestError(f"a reason is a printable text of up to {MAX_REASON}")
    settings, asked = call.settings(), {"status": status}
    with store_of(settings) as store, noted(settings, "ssf.stream.status", asked, object=stream_id, reason=reason):
        found = register.operate(store, stream_id, (status, reason), _post(settings), utc_now())
        _show_one(call.terminal, store, found)


def _post(settings: Settings) -> Post:
    from pdp.parts import new_id
    from pdp.ssf.sending.opening import names_of
    from pdp.ssf.sending.outbox import Post

    transmitter = _transmitter(settings)
    return Post(names_of(transmitter, settings.issuers), transmitter.outbox_events, new_id)


def _transmitter(settings: Settings) -> SsfTransmitter:
    from pdp.errors import SettingsError

    if settings.ssf_transmitter is None:
        raise SettingsError(
            "the settings have no `[ssf_transmitter]`: nothing is sent", next_step="see docs/shared-signals-sending.md"
        )
    return settings.ssf_transmitter


def _show_one(terminal: Terminal, store: Store, found: Stream) -> None:
    from pdp.ssf.sending import outbox

    _show(terminal, [found], outbox.standings(store), one=True)


def _show(
    terminal: Terminal, streams: tuple[Stream, ...] | list[Stream], waiting: dict[str, Standing], *, one: bool = False
) -> None:
    if terminal.as_json:
        told = [_told(found, waiting.get(found.id)) for found in streams]
        terminal.json(told[0] if one else told)
        return
    terminal.table(
        [
            "ID",
            terminal.pick("呼び出し元", "caller"),
            terminal.pick("方法", "method"),
            terminal.pick("宛先", "to"),
            terminal.pick("状態", "status"),
            terminal.pick("待ち", "waiting"),
            terminal.pick("最古", "oldest"),
            terminal.pick("配達", "delivered"),
            terminal.pick("拒否", "refused"),
            terminal.pick("破棄", "dropped"),
            terminal.pick("障害", "fault"),
        ],
        [_line(found, waiting.get(found.id)) for found in streams],
    )


def _line(found: Stream, waiting: Standing | None) -> list[str]:
    status = f"{found.status} ({found.reason})" if found.reason else found.status
    since = f" ({_moment(found.failing_since)}, ×{found.failures})" if found.failures else ""
    return [
        found.id,
        found.caller,
        found.wish.method,
        found.wish.endpoint_url,
        status,
        str(0 if waiting is None else waiting.events),
        "" if waiting is None else _moment(waiting.oldest),
        str(found.delivered),
        str(found.refused),
        str(found.dropped),
        f"{found.fault}{since}",
    ]


def _told(found: Stream, waiting: Standing | None) -> dict[str, object]:
    def instant(moment: datetime | None) -> str | None:
        return None if moment is None else moment.isoformat()

    return {
        "stream_id": found.id,
        "caller": found.caller,
        "aud": found.audience,
        "method": found.wish.method,
        "endpoint_url": found.wish.endpoint_url or None,
        "format": found.wish.subject_format,
        "events_delivered": list(found.delivers),
        "description": found.wish.description,
        "status": found.status,
        "reason": found.reason,
        "held": found.held,
        "created_at": found.created_at.isoformat(),
        "waiting": 0 if waiting is None else waiting.events,
        "oldest_at": None if waiting is None else waiting.oldest.isoformat(),
        "delivered": found.delivered,
        "delivered_at": instant(found.delivered_at),
        "refused": found.refused,
        "dropped": found.dropped,
        "failures": found.failures,
        "failing_since": instant(found.failing_since),
        "fault": found.fault,
    }


def _moment(moment: datetime | None) -> str:
    from pdp.model.directory import JST

    return "" if moment is None else moment.astimezone(JST).strftime("%Y-%m-%d %H:%M")
