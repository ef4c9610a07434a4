"""The entity tag of what is held of a device (RFC 9110 section 8.8.3)."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.model.directory import PostureReport

_LENGTH: Final = 32  # hexadecimal digits: 128 bits
_MAX_HEADER: Final = 4_096
_TAG: Final = re.compile(r'\s*(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|\Z)')
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def etag_of(reports: Iterable[PostureReport]) -> str:
    """The same for the same reports, in whatever order, in every process."""
    digest = sha256()
    for text in sorted(_encode(report) for report in reports):
        digest.update(text + b"\n")
    return f'"{digest.hexdigest()[:_LENGTH]}"'


def read_tags(header: str | None) -> frozenset[str]:
    """The tags of `If-None-Match`, compared weakly (RFC 9110 section 13.1.2). Raises BadRequestError."""
    if header is None:
        return frozenset()
    if header.strip() == "*":
        return frozenset({"*"})
    tags: set[str] = set()
    at = 0
    while at < len(header) <= _MAX_HEADER:
        found = _TAG.match(header, at)
        if found is None:
            break
        tags.add(found.group(1))
        at = found.end()
    if at != len(header) or not tags:
        raise BadRequestError("`if-none-match` is not a list of entity tags")
    return frozenset(tags)
