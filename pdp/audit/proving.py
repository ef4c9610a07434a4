"""The proof of one decision, as `pdp audit prove` writes it, from the log's own files and the store beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdp.archive.restoring import segment_again, stored_names
from pdp.archive.store import LocalStore
from pdp.declog.layout import Layout
from pdp.errors import BadRequestError, NotFoundError, NotReadyError
from pdp.transparency.proofs import prove

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def proof_of(logs: Sequence[Path], decision_id: str, *, everywhere: bool) -> dict[str, Any]:
    """From the first of these logs that has it. Raises NotFoundError, and as `pdp.transparency.proofs.prove`."""
    for log in logs:
        try:
            return _proof_in(log, decision_id, everywhere=everywhere)
        except BadRequestError:  # it is not in this log
            continue
        except OSError as fault:
            raise NotReadyError(f"the decision log cannot be read: {fault.strerror}") from None
    raise NotFoundError("no log that lies here holds this decision", next_step="check the id, or try `everywhere=true`")


def _proof_in(log: Path, decision_id: str, *, everywhere: bool) -> dict[str, Any]:
    store = LocalStore(log)
    stored = store.manifest.exists()

    def restore(name: str) -> bytes | None:
        try:
            return segment_again(store, name) if stored else None
        except NotReadyError:  # its time has passed, or it was damaged before and said so
            return None

    archived = stored_names(store) if stored else ()
    return prove(Layout(log), decision_id, everywhere=everywhere, archived=archived, restore=restore)
