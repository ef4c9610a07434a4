"""An approval, signed for by the host that took it, where that host holds a key. Pure.

Attack: somebody who can write the database writes an approval, or takes a name out of the history, and then has the
service's own key sign the activation. So a host signs with its key only what approvals ask for that were sealed when
they were given: over who approved which contents of which round, with which time of warning, and who had written them.
A statement that is signed elsewhere (`pdp bundle sign`) is the signer's own word, and needs no seals.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.declog.marks import rfc3339
from pdp.revisions.statement import Signature, signer_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pdp.revisions.revision import Approval
    from pdp.revisions.statement import SigningKey, TrustedKey

SCHEMA: Final = "sekisho.approval/v1"


class _Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`authors`: those who had written it when it was approved."""

    authors: list[str]
    signature: Signature


def seal_of(approval: Approval, warn_days: int, authors: Iterable[str], key: SigningKey | None) -> str | None:
    """JSON; None where no key is here."""
    if key is None:
        return None
    known = sorted(authors)
    signature = key.sign(_text(approval, warn_days, known), SCHEMA)
    return msgspec.json.encode(_Seal(known, signature)).decode()


def is_sealed(approval: Approval, warn_days: int, authors: frozenset[str], keys: Iterable[TrustedKey]) -> bool:
    """Whether a key that counts here sealed this very approval, and nobody was taken out of its authors since.

    Others may have come to them: a copy makes its writer one too.
    """
    try:
        seal = msgspec.json.decode(approval.seal or "", type=_Seal)
    except (msgspec.MsgspecError, ValueError):
        return False
    text = _text(approval, warn_days, seal.authors)
    return authors.issuperset(seal.authors) and signer_of(text, [seal.signature], keys, SCHEMA) is not None


def _text(approval: Approval, warn_days: int, authors: Sequence[str]) -> str:
    """What is signed: canonical, so that equal approvals are equal bytes."""
    said = {
        "schema": SCHEMA,
        "number": approval.number,
        "round": approval.round,
        "by": approval.by,
        "at": rfc3339(approval.at),
        "kind": approval.kind,
        "digest": approval.digest,
        "source_digest": approval.source_digest,
        "warn_days": warn_days,
        "authors": list(authors),
    }
    return json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
