"""The paths of foresight, results and exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from pdp.governance.jobs_document import OPERATIONS
from pdp.governance.routes import add_paths

if TYPE_CHECKING:
    from pdp.governance.jobs_desk import JobsDesk


def jobs_router(desk: JobsDesk) -> APIRouter:
    answers: dict[tuple[str, str], Any] = {
        ("GET", "/foresight/choices"): desk.choices,
        ("POST", "/revisions/{number}/jobs"): desk.begin,
        ("GET", "/revisions/{number}/jobs"): desk.of_revision,
        ("GET", "/jobs"): desk.all,
        ("GET", "/jobs/{job}"): desk.one,
        ("POST", "/jobs/{job}/cancel"): desk.cancel,
        ("GET", "/revisions/{number}/results"): desk.results,
        ("GET", "/results/{result}"): desk.result,
        ("GET", "/results/{result}/files"): desk.files,
        ("POST", "/revisions/{number}/request"): desk.ask,
        ("GET", "/exports"): desk.exports,
        ("POST", "/exports"): desk.export,
    }
    router = APIRouter(tags=["policies"])
    add_paths(router, OPERATIONS, answers, desk.reception)
    return router
