"""`pdp doctor` on what was delivered to vendors' tenants: applies that were cut off, drift, looks that are old."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pdp.commands.finding import fail, ok, warn
from pdp.delivery.journal import Journal, tenants_in
from pdp.errors import SekishoError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pdp.commands.finding import Finding

OLD: Final = timedelta(days=2)  # of a look that is to be made every day


def delivery_findings(pick: Callable[[str, str], str], state: Path, now: datetime) -> list[Finding]:
    """One line for each tenant; none where nothing was delivered."""
    topic = pick("配信", "delivery")
    found = []
    for name in tenants_in(state):
        try:
            found.append(_finding(pick, topic, Journal(state, name), name, now))
        except SekishoError as fault:
            found.append(fail(topic, f"{name}: {fault.message}", fault.next_step))
    return found


def _finding(pick: Callable[[str, str], str], topic: str, journal: Journal, name: str, now: datetime) -> Finding:
    look_again = pick("`pdp export drift` で確かめる", "see `pdp export drift`")
    looked = journal.looked()
    if journal.in_hand() is not None:
        text = pick("配信が途中で止まっている", "an apply was cut off, or is under way")
        return warn(
            topic, f"{name}: {text}", pick("`pdp export apply` をもう一度実行する", "run `pdp export apply` again")
        )
    if looked is None or now - datetime.fromisoformat(looked.at) > OLD:
        return warn(topic, f"{name}: {pick('照合していない', 'nobody has looked for a while')}", look_again)
    if looked.differences is None:
        return warn(topic, f"{name}: {pick('照合できない', 'cannot be looked at')} ({looked.fault})", look_again)
    if looked.differences:
        return warn(topic, f"{name}: {pick('配信したものと違う', 'differs from what was delivered')}", look_again)
    return ok(topic, name)
