"""Strict JSON for the wire formats. It stands in `pdp.strict_json`, because identity reads tokens by the same rules."""

from __future__ import annotations

from pdp.strict_json import MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_SAFE_INTEGER, parse_json

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "MAX_SAFE_INTEGER", "parse_json"]
