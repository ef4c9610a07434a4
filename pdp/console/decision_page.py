"""One decision: why, on what facts, its proof, judged again, and the names behind its pseudonyms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.console.decisions import READERS
from pdp.console.pages import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit

_NAMES: Final = ("person", "subject_id", "device", "device_id", "source_ip", "session_id")


async def one(visit: Visit) -> Response:
    return await _page(visit)


async def explained(visit: Visit) -> Response:
    """It takes seconds of one core: it is a page of its own, and asked for."""
    return await _page(visit, explanation=await visit.ask(f"{_path(visit)}/explanation"))


async def proven(visit: Visit) -> Response:
    return await _page(visit, proof=await visit.ask(f"{_path(visit)}/proof"))


async def proof_file(visit: Visit) -> Response:
    return visit.hand_on(f"{_path(visit)}/proof", {})


async def replayed(visit: Visit) -> Response:
    return await _page(visit, replay=await visit.send("POST", f"{_path(visit)}/replay"))


async def revealed(visit: Visit) -> Response:
    body = {"id": visit.path["id"], "reason": visit.field("reason")}
    return await _page(visit, names=await visit.send("POST", "/audit/v1/reveal", body))


async def _page(visit: Visit, **further: Answer) -> Response:
    found = await visit.ask(_path(visit))
    if not found.ok:
        return visit.page("problem.html", status=found.status, answer=found)
    shown: dict[str, Any] = {"explanation": None, "proof": None, "replay": None, "names": None, **further}
    record: Mapping[str, Any] = found.data.get("record") or found.data.get("decision") or {}
    return visit.page(
        "decision.html",
        words=await visit.words(),
        found=found.data,
        record=record,
        whole=found.data.get("record") is not None,
        document=record.get("input"),
        id=visit.path["id"],
        name_keys=_NAMES,
        **shown,
    )


def _path(visit: Visit) -> str:
    return f"/audit/v1/decisions/{visit.path['id']}"


PAGES: Final = (
    Page("decisions/{id}", one, READERS),
    Page("decisions/{id}/why", explained, READERS),
    Page("decisions/{id}/proof", proven, READERS),
    Page("decisions/{id}/proof.json", proof_file, READERS),
    Page("decisions/{id}/replay", replayed, READERS, method="POST"),
    Page("decisions/{id}/names", revealed, READERS, method="POST"),
)
