"""Other names of devices, as a cell or a YAML value gives them."""

from __future__ import annotations

from typing import Any

from pdp.directory.aliases import STORED_KINDS, alias_key, plain_name
from pdp.directory.files.faults import Wrong, shown
from pdp.directory.files.words import MAX_WORDS

_LISTED = ", ".join(STORED_KINDS)


def device_name(value: Any) -> str:
    """One name in its plain form."""
    plain = plain_name(value) if isinstance(value, str) else None
    if plain is None:
        raise Wrong(
            f"{shown(value)} is not a name of one device", "leave it empty where there is none; quote numbers in YAML"
        )
    return plain


def aliases(value: Any) -> tuple[str, ...]:
    """Keys of aliases: `serial:5CG12AB; host_name:pc-001`, or YAML's {serial: 5CG12AB}."""
    if isinstance(value, dict):
        pairs = [(str(kind), name) for kind, name in value.items()]
    elif isinstance(value, str):
        cells = [part.strip(" ").partition(":") for part in value.replace("；", ";").split(";")]
        pairs = [(kind.strip(" "), name.strip(" ")) for kind, _, name in cells]
    else:
        raise Wrong(f"{shown(value)} is no list of names", "write serial:5CG12AB; host_name:pc-001")
    if len(pairs) > MAX_WORDS:
        raise Wrong("names too many", f"at most {MAX_WORDS}")
    return tuple(dict.fromkeys(_key(kind, name) for kind, name in pairs))


def _key(kind: str, name: Any) -> str:
    if kind not in STORED_KINDS:
        raise Wrong(f"{shown(kind)} is not a kind of name", f"use one of: {_LISTED}")
    device_name(name)
    key = alias_key(kind, name)
    if key is None:
        raise Wrong(f"{shown(name)} is not a name of one device", "leave it out")
    return key
