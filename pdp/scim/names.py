"""When two names are the same: what SCIM compares `userName` and the names of groups by."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scim2_models import AttributeBinding

_ROUNDS: Final = 4  # folding and normalising feed one another; no character needs more than three


def name_key(text: str) -> str:
    """NFKC and full case folding, to their fixed point.

    RFC 7644 section 5 asks for PRECIS, whose width mapping and case mapping this contains; it is stricter in that
    it also folds compatibility forms, so that no two people can have names that look alike. Idempotent.
    """
    for _ in range(_ROUNDS):
        folded = unicodedata.normalize("NFKC", text.casefold())
        if folded == text:
            break
        text = folded
    return text


def exact_key(text: str) -> str:
    """For attributes that are `caseExact`: composed characters and their parts are one, nothing else is."""
    return unicodedata.normalize("NFC", text)


def comparison_key(binding: AttributeBinding, value: str) -> str:
    """What filters, sorting and uniqueness compare instead of the value (`ScimPolicy.comparison_key`)."""
    return exact_key(value) if binding.case_exact else name_key(value)
