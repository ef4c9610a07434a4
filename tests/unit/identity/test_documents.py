"""docs/identity.md names every reason, every word for a claim, and every key of an issuer; and no other."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from pdp.identity import claims
from pdp.identity.token import REASONS
from pdp.model.issuer import Issuer

DOCUMENT = (Path(__file__).parents[3] / "docs" / "identity.md").read_text(encoding="utf-8")


def first_column(heading: str) -> set[str]:
    """What stands in backquotes in the first column of the table below a heading."""
    section = DOCUMENT.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_every_reason_is_explained() -> None:
    assert first_column("### Reasons") == {"ok", *REASONS}


def test_every_word_for_a_claim_is_explained_in_both_places() -> None:
    assert claims.__doc__ is not None
    rows = re.findall(r"^\| (`.*?) \|", claims.__doc__, re.MULTILINE)
    words = {word for row in rows for word in re.findall(r"`([^`]+)`", row)}
    assert first_column("### Every claim is accounted for") == words


def test_every_key_of_an_issuer_is_explained() -> None:
    named = first_column("## An issuer")
    assert named | {"issuer", "audiences"} == {field.name for field in msgspec.structs.fields(Issuer)}
