"""Which of two offers a client prefers (RFC 9110 section 12.5). It chooses words, never an outcome."""

from __future__ import annotations

import re
from typing import Final

_ENTRY: Final = re.compile(r"\s*([!#-+\--.0-9A-Za-z^-~/*]+)\s*(;.*)?", re.DOTALL)
_WEIGHT: Final = re.compile(r";\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*\Z", re.IGNORECASE)
_MAX_ENTRIES: Final = 32  # browsers send about ten


def weight(header: str | None, offer: str) -> float:
    """How much the client likes `offer`, from 0 to 1, by the most specific range that covers it.

    `offer` is a media type (`text/html`) or a language (`ja`). Without a header everything is liked alike
    (1); what no range covers is 0, and so is a range whose weight cannot be read.
    """
    if header is None:
        return 1.0
    best: tuple[int, float] = (-1, 0.0)
    for entry in header.split(",", _MAX_ENTRIES)[:_MAX_ENTRIES]:
        form = _ENTRY.fullmatch(entry)
        if form is None:
            continue
        specificity = _covers(form.group(1).lower(), offer)
        if specificity > best[0]:
            best = (specificity, _weight(form.group(2)))
    return best[1]


def _covers(range_: str, offer: str) -> int:
    """How closely a range covers the offer: 2 exactly, 1 partly, 0 as `*`, -1 not."""
    if range_ == offer:
        return 2
    if range_ in ("*", "*/*"):
        return 0
    family = offer.partition("/")[0] + "/*" if "/" in offer else None
    return 1 if range_ == family or ("/" not in offer and range_.startswith(offer + "-")) else -1


def _weight(parameters: str | None) -> float:
    if parameters is None or "q" not in parameters.lower():
        return 1.0
    form = _WEIGHT.search(parameters)
    return float(form.group(1)) if form is not None else 0.0
