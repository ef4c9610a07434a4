"""The decisions of the last days, judged by the draft: what it would have answered otherwise."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from pdp.archive.asking import filters_of
from pdp.archive.session import EngineLimits
from pdp.job_child.ground import draft_of, ground_of
from pdp.jobs.job import Outcome
from pdp.parts import bundle_archive
from pdp.replaying.bulk import Progress, Replay
from pdp.replaying.court import Court
from pdp.replaying.reading import LogReader

if TYPE_CHECKING:
    from pdp.job_child.ground import Say
    from pdp.jobs.job import Order

MOST_KINDS = 200  # of differences that are kept, with the ids of the earliest decisions of each


async def work(order: Order, say: Say) -> Outcome:
    """Params: `days`, back from now."""
    say("reading")
    settings, draft = order.settings, draft_of(order)
    since = order.now - timedelta(days=order.params["days"])
    limits = EngineLimits(memory_mb=settings.audit_memory_mb, threads=settings.audit_threads)
    filters = filters_of({"since": [since.isoformat()], "until": [order.now.isoformat()]})
    reader = LogReader(settings.decision_logs, filters, limits)
    total = await asyncio.to_thread(reader.count)
    done = 0

    def advanced(records: int) -> None:
        nonlocal done
        done += records
        say("judging", done, total)

    say("judging", 0, total)
    with ground_of(order) as ground:
        async with Court({"regorus": ground.engine}, bundle_archive(settings).load) as court:
            report = await Replay(reader, court, draft=draft).run(Progress(done=advanced))
        baseline = ground.of_record().digest
    found = report.as_json()
    summary = {name: found[name] for name in ("records", "seconds")} | {
        "days": order.params["days"],
        "different": found["recomputed"]["different"],
        "equal": found["recomputed"]["equal"],
    }
    return Outcome(
        digest=draft.digest, baseline=baseline, summary=summary, body=msgspec.json.encode(without_words(found))
    )


def without_words(found: dict[str, Any]) -> dict[str, Any]:
    """Without what a policy said in words of its own: it may name people, and more may read this than the log."""
    differences = [
        {
            **one,
            "recorded": _bare(one["recorded"]),
            "recomputed": {name: _bare(answer) for name, answer in one["recomputed"].items()},
        }
        for one in found["differences"][:MOST_KINDS]
    ]
    more = sum(one["decisions"] for one in found["differences"][MOST_KINDS:])
    return {**found, "differences": differences, "further_differences": found["further_differences"] + more}


def _bare(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "context"}
