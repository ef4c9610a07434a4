"""In which order a policy's files are read: the entry point first, because it is the order of judgement. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.bundle import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ENTRY_POINT: Final = "pdp/decision"


def reading_order(texts: Mapping[str, str], further: Iterable[str] = ()) -> list[str]:
    """All paths, also `further` ones: where the entry point is defined, and then by name. Nothing first, if nowhere."""
    first = first_file(texts)
    return sorted({*texts, *further}, key=lambda path: (path != first, path))


def first_file(texts: Mapping[str, str]) -> str:
    """What somebody who opens a policy is shown: the file of the entry point, else any rule, else any file.

    A draft may be anything: what its manifest says is read as far as it can be.
    """
    *package, rule = _entry_point(texts.get(MANIFEST, "")).split("/")
    rules = [path for path in sorted(texts) if path.endswith(".rego") and not path.endswith("_test.rego")]
    named = re.compile(rf"^package\s+{re.escape('.'.join(package))}\s*(?:#.*)?$", re.MULTILINE)
    for word in (rf"^default\s+{re.escape(rule)}\b", rf"^{re.escape(rule)}\b"):
        defined = re.compile(word, re.MULTILINE)
        found = next((path for path in rules if named.search(texts[path]) and defined.search(texts[path])), None)
        if found is not None:
            return found
    return next(iter(rules), next(iter(sorted(texts)), ""))


def _entry_point(manifest: str) -> str:
    try:
        said: Any = json.loads(manifest)
    except (ValueError, RecursionError):
        return _ENTRY_POINT
    metadata = said.get("metadata") if isinstance(said, dict) else None
    found = metadata.get("entrypoint") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else _ENTRY_POINT
