"""The proof of one decision, as `pdp audit prove` writes it, from the log's own files and the store beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdp.archive.restoring import restorer
from pdp.declog.layout import Layout
from pdp.errors import BadRequestError, NotFoundError, NotReadyError
from pdp.transparency.proofs import Place, prove

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def proof_of(logs: Sequence[Path], decision_id: str, only: Place) -> dict[str, Any]:
    """From the first of these logs that has it. Raises NotFoundError, and as `pdp.transparency.proofs.prove`.

    INVARIANT (bounded): `only` is the record that whoever asks may see. Another of the same id is of somebody else.
    """
    for log in logs:
        archived, restore = restorer(log)
        try:
            return prove(Layout(log), decision_id, archived=archived, restore=restore, only=only)
        except BadRequestError:  # it is not in this log
            continue
        except OSError as fault:
            raise NotReadyError(f"the decision log cannot be read: {fault.strerror}") from None
    raise NotFoundError("no log that lies here holds this decision", next_step="check the id, or try `everywhere=true`")
