"""Our own form: the record as it is kept, and where it stands, so that a receiver can see a gap. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.declog.record import encode_record

if TYPE_CHECKING:
    from pdp.shipping.view import View

SCHEMA: Final = "sekisho.shipped/v1"
_NULL: Final = msgspec.Raw(b"null")
_encode: Final = msgspec.json.Encoder().encode


class _Shipped(msgspec.Struct, frozen=True):
    """`seq` counts the records of one `epoch` of one worker from 1, those that a filter keeps back included."""

    schema: str
    node: str
    worker: str
    epoch: str
    seq: int
    masked: tuple[str, ...]
    erased: tuple[str, ...]
    record: msgspec.Raw


def own_event(view: View, *, short: bool = False) -> bytes:
    """One object. `short`: without the documents of the record, for carriers that bound an event."""
    record, erased = view.record, view.erased
    if short:
        record = msgspec.structs.replace(record, input=_NULL, policy_context=_NULL)
        erased = tuple(dict.fromkeys((*erased, "input", "policy_context")))
    body = msgspec.Raw(encode_record(record))
    return _encode(_Shipped(SCHEMA, view.node, view.worker, view.epoch, view.seq, view.masked, erased, body))
