"""The places of a record that a rule may name, and those that it may not. Pure.

What proves or explains a decision stays as it is: without its id, time, outcome, reasons, bundle and caller a record
would be evidence of nothing. What was asked, by whom and from where may be masked, and so may the documents.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.declog.record import Record
from pdp.errors import SettingsError
from pdp.model.input import InputV1

if TYPE_CHECKING:
    from pdp.model.log_masking import MaskingRule

TEXTS: Final = ("subject_id", "device_id", "resource_id", "session_id", "path", "source_ip", "request_id", "trace_id")
FREE: Final = ("token_sha256", "fault", "error_message")  # may be erased and nothing else: digest, and our own prose
DOCUMENTS: Final = ("input", "policy_context")
MASKABLE: Final = frozenset({*TEXTS, *FREE, *DOCUMENTS})
PROTECTED: Final = frozenset(Record.__struct_fields__) - MASKABLE | {"seq", "chain", "segment"}

_KINDS: Final = {
    "/subject_id": "user",
    "/input/subject/id": "user",
    "/device_id": "device",
    "/input/device/id": "device",
    "/resource_id": "resource",
    "/input/resource/id": "resource",
    "/session_id": "session",
    "/input/context/session_id": "session",
    "/source_ip": "address",
    "/input/context/network/source_ip": "address",
}
_TWINS: Final = (
    ("/subject_id", "/input/subject/id"),
    ("/device_id", "/input/device/id"),
    ("/resource_id", "/input/resource/id"),
    ("/session_id", "/input/context/session_id"),
    ("/source_ip", "/input/context/network/source_ip"),
)
TWIN: Final = {a: b for one, other in _TWINS for a, b in ((one, other), (other, one))}
"""The same fact in two places: a rule for one is a rule for the other, or it would hide nothing."""

_ESCAPE: Final = re.compile(r"~(?![01])")


def tokens_of(pointer: str) -> tuple[str, ...]:
    """The parts of a pointer (RFC 6901, section 4). Raises SettingsError for what is none."""
    if not pointer.startswith("/") or _ESCAPE.search(pointer):
        raise SettingsError(f"`log_masking`: `{pointer}` is not a JSON pointer")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def pointer_of(parts: tuple[str, ...]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def kind_of(pointer: str) -> str:
    """What a pseudonym is one of: a person has one and the same wherever they stand."""
    return _KINDS.get(pointer, pointer)


def check_rule(rule: MaskingRule) -> tuple[str, ...]:
    """The parts of the rule's pointer. Raises SettingsError naming a place that is protected, or is not there."""
    parts = tokens_of(rule.pointer)
    first = parts[0]
    if first in PROTECTED:
        raise SettingsError(f"`log_masking`: `{rule.pointer}` is part of what proves the decision, and stays as it is")
    if first not in MASKABLE or (first not in DOCUMENTS and len(parts) > 1):
        raise SettingsError(f"`log_masking`: a record has no `{rule.pointer}`")
    if first in FREE and rule.op != "erase":
        raise SettingsError(f"`log_masking`: `{rule.pointer}` can only be erased")
    if first == "input" and rule.where.profile != ["plain"] and not in_input(parts[1:]) and rule.pointer not in TWIN:
        raise SettingsError(
            f"`log_masking`: `pdp.input/v1` has no `{rule.pointer}`",
            next_step='for a document of your own, say where = { profile = ["plain"] }',
        )
    if parts in (("input",), ("policy_context",)) and rule.op != "erase":
        raise SettingsError(f"`log_masking`: the whole of `{rule.pointer}` can only be erased")
    return parts


def in_input(parts: tuple[str, ...]) -> bool:
    """Whether `pdp.input/v1` has such a place; `*` is for the items of a list."""
    return _type_at(parts) is not None


def _type_at(parts: tuple[str, ...]) -> object:
    at: object = msgspec.inspect.type_info(InputV1)
    for part in parts:
        if isinstance(at, msgspec.inspect.StructType):
            found = next((field.type for field in at.fields if field.encode_name == part), None)
            if found is None:
                return None
            at = found
        elif isinstance(at, msgspec.inspect.ListType) and part == "*":
            at = at.item_type
        else:
            return None
    return at
