"""What a worker takes as the revision of record. Pure: bytes in, a bundle or a refusal out.

`judge` goes in this order, and the numbers stand beside the code:

1. the statement is one, in its canonical form, and says what its row says;
2. a trusted key signed it, wherever there are trusted keys;
3. its epoch is not below one that was seen here, and an epoch that was seen names what it named then;
4. the text is the one whose SHA-256 the statement names, and makes a bundle of that name and profile.

Loading, the proof by an evaluation and the swap are `pdp.activation`'s. Whatever is refused here or there changes
nothing: the revision that decides goes on deciding.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from pdp.bundle.bundle import bundle_of_canonical
from pdp.errors import BundleError
from pdp.revisions.statement import read_signatures, read_statement, signer_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.revisions.revision import Active
    from pdp.revisions.statement import TrustedKey

Why = Literal["statement", "signature", "replayed", "damaged", "profile", "refused", "unreadable", "keys"]


class RevisionRefusedError(BundleError):
    """A revision of record that this worker does not take. `why`: one word, for metrics."""

    code = "revision_refused"
    next_step = "the former revision goes on deciding; activate another one, or correct what is named"

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why: Why = why


@dataclass(frozen=True, slots=True)
class Seen:
    """The highest epoch that was taken here, and what it named. Epoch 0: none."""

    epoch: int = 0
    digest: str = ""


def judge(active: Active, text: bytes, seen: Seen, keys: Sequence[TrustedKey], profile: str = "") -> Bundle:
    """The bundle of the revision of record. Raises RevisionRefusedError. `profile`: the only one; empty: any."""
    # 1.
    try:
        said = read_statement(active.statement)
        signatures = read_signatures(active.signatures)
    except BundleError as fault:
        raise RevisionRefusedError("statement", fault.message) from None
    row = (active.epoch, active.number, active.name, active.digest, active.kind)
    if (said.epoch, said.number, said.name, said.digest, said.kind) != row:
        raise RevisionRefusedError("statement", "what is of record and its statement say different things")
    # 2.
    if keys and signer_of(active.statement, signatures, keys) is None:
        missing = "no trusted key signed it" if signatures else "it is not signed"
        raise RevisionRefusedError("signature", f"revision {said.number} (epoch {said.epoch}): {missing}")
    # 3.
    if said.epoch < seen.epoch:
        raise RevisionRefusedError(
            "replayed",
            f"epoch {said.epoch} is of record, and epoch {seen.epoch} was active here: an old one is replayed",
        )
    if said.epoch == seen.epoch and said.digest != seen.digest:
        raise RevisionRefusedError("replayed", f"epoch {said.epoch} named another policy when it became active here")
    # 4.
    return _bundle(said.digest, said.name, said.profile, text, profile)


def _bundle(digest: str, name: str, said_profile: str, text: bytes, profile: str) -> Bundle:
    if sha256(text).hexdigest() != digest:
        raise RevisionRefusedError("damaged", f"the text of the policy is not the one with the digest {digest}")
    try:
        bundle = bundle_of_canonical(text)
    except BundleError as fault:
        raise RevisionRefusedError("damaged", fault.message) from None
    if bundle.digest != digest or bundle.revision != name or bundle.profile != said_profile:
        raise RevisionRefusedError("damaged", "the policy is not the one that the statement describes")
    if profile and bundle.profile != profile:
        raise RevisionRefusedError("profile", f"the policy is of profile {bundle.profile}, and {profile} is asked for")
    return bundle
