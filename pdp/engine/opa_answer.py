"""What goes to an OPA server and comes back, checked: the only value that passes is one of the right bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.engine.port import MAX_DOCUMENT_BYTES
from pdp.errors import EngineError

if TYPE_CHECKING:
    from pdp.engine.opa_client import OpaRefusalError
    from pdp.engine.opa_namespace import Namespace

_EVALUATION_FAILED: Final = frozenset({400, 500})  # OPA uses both where a policy errs


class NotWholeError(Exception):
    """The gate did not answer with the digest: the bundle is not there, or not all of it."""


class UndefinedError(EngineError):
    """The policy itself has no answer; every other EngineError comes from the way there."""


class RevisionError(EngineError):
    """The server has no bundle, or another one."""


class FailedError(EngineError):
    """OPA evaluated, and the evaluation failed: at `where` (file:line:column), where it says so."""

    def __init__(self, detail: str, where: str | None) -> None:
        super().__init__(f"{where}: {detail}" if where else detail)
        self.detail = detail
        self.where = where


def check_document(document: bytes) -> None:
    """Raises EngineError for what is not one JSON text of a size that may be asked."""
    if len(document) > MAX_DOCUMENT_BYTES:
        raise EngineError(f"the document is larger than {MAX_DOCUMENT_BYTES} bytes")
    # Attack: a "document" that closes the envelope it is put into, and brings its own `input`.
    try:
        document.decode()
        msgspec.json.decode(document, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise EngineError(f"the document is not JSON: {fault}") from None


def value_behind_gate(said: Any, digest: str) -> bytes:
    """The verdict that the gate of `pdp.engine.opa_namespace` lets through, as JSON.

    Raises NotWholeError where the gate does not prove this digest, UndefinedError where there is no verdict.
    """
    answer = said.get("result") if isinstance(said, dict) else None
    if not isinstance(answer, dict) or answer.get("digest") != digest:
        raise NotWholeError
    return _member(answer, "verdict")


def value_of_revision(said: Any, revision: str, bundle_name: str | None) -> bytes:
    """The result, as JSON, where OPA says in its `provenance` that it comes from this revision.

    Raises RevisionError where it does not, UndefinedError where there is no result.
    """
    try:
        revisions = {str(name): one.get("revision") for name, one in said["provenance"]["bundles"].items()}
    except (LookupError, TypeError, AttributeError):
        raise RevisionError("the OPA server has no bundle") from None
    if bundle_name is None and len(revisions) > 1:
        raise RevisionError("the OPA server has several bundles, and no `bundle_name` says which counts")
    served = revisions.get(bundle_name if bundle_name is not None else next(iter(revisions), ""))
    if served != revision:
        raise RevisionError(f"the OPA server has revision `{served}`, not `{revision}`")
    return _member(said, "result")


def _member(answer: dict[str, Any], key: str) -> bytes:
    if key not in answer:
        raise UndefinedError("the policy has no answer: its entry point is undefined for this input")
    return msgspec.json.encode(answer[key])


def failure(refusal: OpaRefusalError, namespace: Namespace | None) -> EngineError:
    """What a refused query means: a policy that errs, or a server that does not serve us."""
    if refusal.status not in _EVALUATION_FAILED:
        return EngineError(f"the OPA server answered with status {refusal.status}")
    first = refusal.errors[0] if refusal.errors else {}
    message = " ".join(str(first.get("message") or refusal.message).split())
    if namespace is None:
        return FailedError(message, None)
    return FailedError(namespace.readable(message), namespace.where(first.get("location")))
