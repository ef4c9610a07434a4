"""`pdp doctor` on security events that are sent: streams whose receivers do not take them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pdp.callers.listing import holders
from pdp.commands.finding import ok, warn
from pdp.ssf.sending import outbox, register

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.commands.finding import Finding
    from pdp.ssf.sending.outbox import Standing
    from pdp.ssf.sending.streams import Stream
    from pdp.store.store import Store

LATE: Final = timedelta(minutes=10)  # that an event waits: a receiver that polls, polls more often


def sending_findings(pick: Callable[[str, str], str], store: Store, now: datetime) -> list[Finding]:
    """A line for each stream in which something is wrong, or one for all. Raises DirectoryError."""
    topic = pick("セキュリティイベントの送信（SSF）", "security events sent (SSF)")
    streams, waiting = register.listed(store), outbox.standings(store)
    with store.read() as connection:
        callers = holders(connection, outbox.NEEDED)
    nobody = pick(
        "呼び出し元が失効しているため送らない。不要なら `pdp ssf stream delete`",
        "its caller was revoked, or lacks the permission: nothing is pushed; `pdp ssf stream delete` ends it",
    )
    found = [
        warn(topic, f"{one.id} ({one.caller}): {fault}", pick("`pdp ssf stream list`", "see `pdp ssf stream list`"))
        for one in streams
        if (fault := _fault(pick, one, waiting.get(one.id), now) if one.caller in callers else nobody)
    ]
    return found or [ok(topic, pick(f"ストリーム {len(streams)} 本", f"{len(streams)} streams"))]


def _fault(pick: Callable[[str, str], str], stream: Stream, waiting: Standing | None, now: datetime) -> str:
    if stream.failures:
        return pick(f"受信側が受け取らない（{stream.fault}）", f"its receiver does not take events: {stream.fault}")
    if stream.status == "enabled" and waiting is not None and now - waiting.oldest > LATE:
        since = f"{waiting.oldest:%Y-%m-%d %H:%M}Z"
        return pick(f"{waiting.events} 件が {since} から待つ", f"{waiting.events} events wait since {since}")
    if stream.dropped:
        return pick(f"{stream.dropped} 件を破棄した", f"{stream.dropped} events were let go, as too many waited")
    return ""
