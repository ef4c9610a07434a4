"""`pdp doctor` on security events that other houses send: streams that are silent, and files of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.commands.finding import fail, ok, warn
from pdp.errors import SettingsError
from pdp.ssf.receiving import inbox, register
from pdp.ssf.receiving.keeping import troubles
from pdp.ssf.receiving.opening import incoming_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pdp.commands.finding import Finding
    from pdp.model.signal_stream import SignalStream
    from pdp.store.store import Store


def receiving_findings(
    pick: Callable[[str, str], str], store: Store, streams: Sequence[SignalStream], now: datetime
) -> list[Finding]:
    """A line for each stream that is received, and one where events wait. Raises DirectoryError."""
    topic = pick("セキュリティイベントの受信（SSF）", "security events received (SSF)")
    see = pick("`pdp ssf status` で確かめる", "see `pdp ssf status`")
    with store.read() as connection:
        held = {one.stream: one for one in register.read_all(connection)}
        waiting = inbox.waiting(connection)
    found: list[Finding] = []
    for stream in streams:
        try:
            incoming_of(stream, lambda: now)
        except SettingsError as fault:
            found.append(fail(topic, f"{stream.name}: {fault.message}", fault.next_step))
            continue
        trouble = troubles(held.get(stream.name), stream.silent_after_s, now, pick)
        if trouble:
            found.append(warn(topic, f"{stream.name}: {trouble}", see))
        elif not stream.effects:
            only = pick("受け取るだけで何もしない設定", "its events are taken and do nothing")
            found.append(warn(topic, f"{stream.name}: {only}", pick("`effects` を設定する", "set its `effects`")))
        else:
            found.append(ok(topic, f"{stream.name}: {', '.join(stream.effects)}"))
    if waiting:
        found.append(warn(topic, pick(f"{waiting} 件が処理を待つ", f"{waiting} events wait to be acted on"), see))
    return found
