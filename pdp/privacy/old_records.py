"""The rules for old records where the settings name none of their own: who it was goes, what was decided stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.model.log_masking import MaskingRule, Where

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLAIN: Final = Where(profile=["plain"])
OLD_RECORDS: Final = (
    MaskingRule(pointer="/subject_id", op="pseudonymise"),
    MaskingRule(pointer="/device_id", op="pseudonymise"),
    MaskingRule(pointer="/source_ip", op="coarsen", to="network"),
    *(
        MaskingRule(pointer=pointer, op="erase")
        for pointer in (
            "/session_id", "/path", "/request_id", "/trace_id", "/token_sha256", "/fault", "/error_message",
            "/policy_context",
        )
    ),
    MaskingRule(pointer="/input", op="erase", where=_PLAIN),  # a caller's own document: names may stand anywhere
)  # fmt: skip
"""Departments and roles stay, for counts; so do resource, device class and posture."""


def text_of(rules: Sequence[MaskingRule]) -> str:
    """The rules as one line of JSON, always the same for the same rules: what a digest is taken of."""
    return msgspec.json.encode(list(rules), order="deterministic").decode()
