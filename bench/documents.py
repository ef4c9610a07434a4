"""The same questions for those that look nothing up: the facts, built by our own code, travel in the request.

An OPA server gets `pdp.input/v1` as its input. Cerbos gets it as attributes: of the subject in the principal,
all else in the resource.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.bundle.bundle import read_bundle
from pdp.callers.caller import PERMISSIONS, Caller
from pdp.directory.snapshot import load_snapshot
from pdp.facts.document import build_facts
from pdp.facts.reference import read_reference
from pdp.identity.levels import LevelTable
from pdp.identity.proof import asserted
from pdp.model.input import encode_input
from pdp.model.request import AccessRequest, AssertedClaims, Network
from pdp.store.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from bench.prefecture import Question
    from pdp.bundle.bundle import Bundle
    from pdp.facts.document import Facts
    from pdp.model.directory import Snapshot

_CALLER: Final = Caller("bench", PERMISSIONS)
_LEVELS: Final = LevelTable()


class Archive:
    """The directory and the bundle as a worker has them, in this process."""

    def __init__(self, database_url: str, bundle: Path) -> None:
        store = open_store(database_url)
        try:
            self.snapshot: Snapshot = load_snapshot(store)
        finally:
            store.close()
        self.bundle: Bundle = read_bundle(bundle)
        self._reference = read_reference(self.bundle.data)

    def facts(self, question: Question, now: datetime) -> Facts:
        """What a decision at `now` (aware) would rest on."""
        request = request_of(question)
        proof = asserted(request, _CALLER, _LEVELS, now)
        return build_facts(request, proof, self.snapshot, self._reference, now)

    def document(self, question: Question, now: datetime) -> bytes:
        return encode_input(self.facts(question, now).document)


def request_of(question: Question) -> AccessRequest:
    """As the wire would hand it on."""
    session = question.session
    return AccessRequest(
        subject_id=session.user,
        resource_id=question.resource,
        action=question.action,
        identity=AssertedClaims(
            acr=f"urn:sekisho:auth-level:{session.acr}", auth_time=datetime.fromtimestamp(session.auth_time, UTC)
        ),
        device_id=session.device,
        network=Network(
            source_ip=session.address,
            tunnel=session.place.tunnel,
            underlay=session.place.underlay,
            path_encrypted=session.place.path_encrypted,
            country="JP",
        ),
        pep=tuple(question.members()["context"]["pep"]),
    )


def opa_body(document: bytes) -> str:
    return '{"input":' + document.decode() + "}"


def cerbos_body(document: bytes) -> str:
    facts: dict[str, Any] = msgspec.json.decode(document)
    resource = {
        "kind": "application",
        "id": facts["resource"]["id"],
        "attr": {
            **{name: facts[name] for name in ("resource", "device", "context")},
            "action": facts["action"]["name"],
        },
    }
    principal = {"id": facts["subject"]["id"], "roles": ["user"], "attr": facts["subject"]}
    body = {
        "requestId": "bench",
        "principal": principal,
        "resources": [{"actions": [facts["action"]["name"]], "resource": resource}],
    }
    return msgspec.json.encode(body).decode()
