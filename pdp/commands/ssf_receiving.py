"""`pdp ssf`: security events that other houses send us, and what they hold here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from pdp.commands.call import Call, StoreCall, spread

if TYPE_CHECKING:
    from datetime import datetime

    from typer import Typer

    from pdp.model.signal_stream import SignalStream
    from pdp.settings import Settings
    from pdp.ssf.receiving.register import Reception

Stream = Annotated[str, Argument(metavar="STREAM", help="Its `name` in the settings.")]
Why = Annotated[str, Option("--reason", help="Why, for the trail.")]


def register(ssf: Typer) -> None:
    """Below `pdp ssf`: what concerns the streams that we receive."""
    for name, command in (
        ("status", status),
        ("events", events),
        ("check", check),
        ("verify", verify),
        ("holds", holds),
        ("lift", lift),
    ):
        ssf.command(name)(command)


@spread
def status(call: StoreCall) -> None:
    """Every stream that is received: when it was last heard, what its transmitter says, what was refused."""
    from pdp.commands.composed import store_of
    from pdp.parts import utc_now
    from pdp.ssf.receiving import register as receptions
    from pdp.ssf.receiving.keeping import troubles

    terminal, settings = call.terminal, call.settings()
    now = utc_now()
    with store_of(settings) as store, store.read() as connection:
        held = {one.stream: one for one in receptions.read_all(connection)}
    rows = [
        (one, held.get(one.name), troubles(held.get(one.name), one.silent_after_s, now, terminal.pick))
        for one in settings.signal_streams
    ]
    if terminal.as_json:
        terminal.json([_told(*row) for row in rows])
        return
    ja = ["名称", "配信", "最終受信", "検証", "拒否", "状態"]
    en = ["name", "delivery", "last heard", "verified", "refused", "state"]
    terminal.table(
        ja if terminal.lang == "ja" else en,
        [
            [
                stream.name,
                stream.delivery,
                _moment(None if seen is None else seen.heard_at()),
                _moment(None if seen is None else seen.verified_at),
                "" if seen is None else f"{seen.refused} {seen.refusal}".strip(),
                trouble or terminal.pick("正常", "ok"),
            ]
            for stream, seen, trouble in rows
        ],
    )


@spread
def events(
    call: StoreCall, limit: Annotated[int, Option("--limit", min=1, max=1_000, help="How many at most.")] = 50
) -> None:
    """The latest events that were taken, and what became of each; the trail has them all."""
    from pdp.commands.composed import store_of
    from pdp.ssf.events import short_name
    from pdp.ssf.receiving.inbox import latest
    from pdp.trail.keeping import record_query

    terminal, settings = call.terminal, call.settings()
    with store_of(settings) as store, store.read() as connection:
        found = latest(connection, limit)
    record_query(settings, "ssf.events", {"limit": limit}, rows=len(found))
    told = [
        {
            "stream": one.stream,
            "jti": one.jti,
            "event": short_name(one.event.type),
            "type": one.event.type,
            "subject": one.subject.to_json(),
            "happened_at": one.happened_at.isoformat(),
            "received_at": one.received_at.isoformat(),
            "result": one.outcome or "waiting",
            "effects": list(one.effects),
        }
        for one in found
    ]
    if terminal.as_json:
        terminal.json(told)
        return
    ja, en = ["受信", "名称", "事象", "結果", "効果"], ["received", "stream", "event", "result", "effects"]
    terminal.table(
        ja if terminal.lang == "ja" else en,
        [
            [
                _moment(one.received_at),
                one.stream,
                short_name(one.event.type),
                one.outcome or "waiting",
                "\n".join(one.effects),
            ]
            for one in found
        ],
    )


@spread
def check(
    call: Call,
    file: Annotated[Path, Argument(metavar="FILE", help="A SET as it was sent: one compact JWS. `-`: standard input.")],
    stream: Annotated[str, Option("--stream", help="By the rules of this stream of the settings.")],
    jwks: Annotated[
        Path | None, Option(help="Its keys, a JWK Set; default: they are fetched as the stream says.")
    ] = None,
    at: Annotated[float | None, Option(help="Seconds since 1970 to check at; default: now.")] = None,
) -> None:
    """Whether a SET would count, and why not. Nothing is taken, and nothing is done. Exit code 1: it would not."""
    from datetime import UTC, datetime

    from pdp.commands.composed import run
    from pdp.commands.exit_codes import NO
    from pdp.errors import BadRequestError
    from pdp.parts import utc_now
    from pdp.ssf.receiving.checking import check_set

    terminal = call.terminal
    configured = _stream_of(call.settings(), stream)
    try:
        now = utc_now() if at is None else datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadRequestError("`--at` is not a number of seconds since 1970") from None
    said = run(check_set(configured, _read(file), now, jwks))
    word = terminal.pick("受け取られる", "it would count") if said["ok"] else said["why"]
    terminal.answer(
        said, word if said["ok"] else terminal.pick(f"受け取られない: {word}", f"it would not count: {word}")
    )
    if not said["ok"]:
        from typer import Exit

        raise Exit(NO)


@spread
def verify(call: StoreCall, stream: Stream) -> None:
    """Ask a stream's transmitter to show that it is there; `pdp ssf status` says when it did."""
    import secrets

    from pdp.commands.composed import run, store_of
    from pdp.errors import NotReadyError
    from pdp.identity.fetching import FetchError
    from pdp.parts import utc_now
    from pdp.ssf.receiving.keeping import ask_verification
    from pdp.ssf.receiving.opening import incoming_of
    from pdp.trail.keeping import noted

    terminal, settings = call.terminal, call.settings()
    configured = _stream_of(settings, stream)
    with store_of(settings) as store, noted(settings, "ssf.verify", {"stream": stream}, object=stream):
        _enrol(store, stream)
        try:
            run(ask_verification(store, incoming_of(configured, utc_now), secrets.token_urlsafe(24), utc_now()))
        except FetchError as fault:
            raise NotReadyError(
                f"the transmitter was not asked: {fault}",
                next_step="see `stream_id`, `management_token_file` and `verification_endpoint` of this stream",
            ) from None
    terminal.answer(
        {"stream": stream, "asked": True}, terminal.pick(f"{stream} に検証を求めた", f"{stream} was asked to verify")
    )


@spread
def holds(call: StoreCall) -> None:
    """Who and what is held because of a signal, by which stream, for which cause and since when."""
    from pdp.commands.composed import store_of
    from pdp.directory.holds import list_holds

    terminal, settings = call.terminal, call.settings()
    with store_of(settings) as store, store.read() as connection:
        found = list_holds(connection)
    if terminal.as_json:
        terminal.json(
            [
                {
                    "register": one.register,
                    "id": one.id,
                    "source": one.source,
                    "cause": one.cause,
                    "since": one.changed_at.isoformat(),
                    "event_at": one.at.isoformat(),
                }
                for one in found
            ]
        )
        return
    ja, en = ["台帳", "対象", "送信元", "理由", "登録"], ["register", "id", "source", "cause", "since"]
    terminal.table(
        ja if terminal.lang == "ja" else en,
        [[one.register, one.id, one.source, one.cause, _moment(one.changed_at)] for one in found],
    )


@spread
def lift(
    call: StoreCall,
    register: Annotated[Literal["users", "devices"], Argument(metavar="users|devices", help="Of what it is a row.")],
    row: Annotated[str, Argument(metavar="ID", help="Of `pdp ssf holds`.")],
    reason: Why,
) -> None:
    """Lift every hold of one person or device. What the registers say of it stands again; newer events count."""
    from pdp.commands.telling import changing
    from pdp.directory.changes import change
    from pdp.directory.holds import lift_by_hand
    from pdp.errors import NotFoundError
    from pdp.trail.keeping import noted

    terminal, settings = call.terminal, call.settings()
    asked = {"register": register, "id": row}
    with changing(call, "directory") as (store, now), noted(settings, "ssf.lift", asked, object=row, reason=reason):
        with change(store, now) as inside:
            lifted = lift_by_hand(inside, register, row, now)
        if not lifted:
            raise NotFoundError(f"nothing holds `{row[:64]}` of `{register}`", next_step="`pdp ssf holds` lists all")
    terminal.answer(
        {"register": register, "id": row, "lifted": lifted},
        terminal.pick(f"{row} の保留を解除した", f"{row} is held no longer"),
    )


def _stream_of(settings: Settings, name: str) -> SignalStream:
    from pdp.errors import NotFoundError

    for one in settings.signal_streams:
        if one.name == name:
            return one
    names = ", ".join(f"`{one.name}`" for one in settings.signal_streams) or "none"
    raise NotFoundError(f"the settings have no stream `{name[:64]}`", next_step=f"name one that is configured: {names}")


def _enrol(store: Any, stream: str) -> None:
    from pdp.parts import utc_now
    from pdp.ssf.receiving import register as receptions

    with store.write() as connection:
        receptions.enrol(connection, [stream], utc_now())


def _read(file: Path) -> str:
    import sys

    from pdp.errors import BadRequestError
    from pdp.identity.jws import MAX_TOKEN

    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(2 * MAX_TOKEN).decode("ascii").strip()
        with file.open("rb") as opened:
            return opened.read(2 * MAX_TOKEN).decode("ascii").strip()
    except OSError as fault:
        raise BadRequestError(f"`{file}` cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise BadRequestError(f"`{file}` is no SET: it is not ASCII") from None


def _told(stream: SignalStream, seen: Reception | None, trouble: str) -> dict[str, Any]:
    said: dict[str, Any] = {"stream": stream.name, "issuer": stream.issuer, "delivery": stream.delivery}
    said["effects"] = list(stream.effects)
    said["trouble"] = trouble or None
    if seen is not None:
        said["heard_at"] = seen.heard_at().isoformat()
        for name in ("received_at", "polled_at", "verified_at", "asked_at", "refused_at"):
            at: datetime | None = getattr(seen, name)
            said[name] = None if at is None else at.isoformat()
        said |= {"status": seen.status, "status_reason": seen.status_reason}
        said |= {"refused": seen.refused, "refusal": seen.refusal or None, "poll_failures": seen.failures}
    return said


def _moment(moment: datetime | None) -> str:
    from pdp.model.directory import JST

    return "" if moment is None else moment.astimezone(JST).strftime("%Y-%m-%d %H:%M:%S")
