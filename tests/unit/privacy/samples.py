"""Rules, keys and records for the tests of masking."""

from __future__ import annotations

from typing import Any

import msgspec

from pdp.declog.record import Record, read_record
from pdp.model.log_masking import MaskingRule
from pdp.privacy.masking import Masking
from pdp.privacy.pseudonym import Pseudonyms
from tests.unit.archive.logs import record
from tests.unit.declog.samples import START

KEY = b"k" * 32
PSEUDONYMS = Pseudonyms({1: KEY})


def rule(pointer: str, op: str = "erase", **others: Any) -> MaskingRule:
    return msgspec.convert({"pointer": pointer, "op": op, **others}, MaskingRule)


def masking(*rules: MaskingRule) -> Masking:
    return Masking(rules, PSEUDONYMS)


def a_record(**changes: Any) -> Record:
    """A `zta` record of `u-0001`; the changes are of the record's own keys."""
    return msgspec.structs.replace(read_record(record(START)), **changes)


def plain(document: object, **changes: Any) -> Record:
    return a_record(profile="plain", input=msgspec.Raw(msgspec.json.encode(document)), **changes)


def document_of(masked: Record) -> Any:
    return msgspec.json.decode(masked.input)
