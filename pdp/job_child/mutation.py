"""Small wrong turns of a revision, one at a time: how many of them its tests and scenarios notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pdp.errors import BadRequestError, BundleError
from pdp.gates.draft_tests import mutation_report
from pdp.jobs.job import Outcome
from pdp.revisions.files import bundle_of

if TYPE_CHECKING:
    from pdp.job_child.ground import Say
    from pdp.jobs.job import Order


async def work(order: Order, say: Say) -> Outcome:
    """No params. Raises BadRequestError where a test fails already."""
    assert order.files is not None  # mutants are asked of a revision
    say("reading")
    bundle = bundle_of(order.files)
    try:
        report = await mutation_report(order.files, lambda done, total: say("judging", done, total))
    except BundleError as fault:
        raise BadRequestError(fault.message, next_step="let its tests pass first") from None
    summary = {name: report[name] for name in ("mutants", "killed", "survived", "score")}
    return Outcome(digest=bundle.digest, summary=summary, body=msgspec.json.encode(report))
