"""Cloudflare's custom device posture integration: the message that it sends, and the answer that it reads.

Source: Cloudflare One documentation, "Custom device posture integration". It sends up to 1,000 devices in one `POST`
and expects `{"result": {device_id: {"s2s_id": text, "score": 0 to 100}}}`. The documentation's example of a request
is no JSON (a list stands in an object without a name); `{"devices": [...]}` is what its sample worker reads, and
what is read here. A field that does not apply to a device is blank.

Every field is the device's own word. It is found by its serial number or by Cloudflare's device id, where the
directory knows one of them as an alias; a host name, an address or an e-mail address finds nothing, because whoever
owns a device chooses them.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from pdp.errors import BadRequestError, NotAuthenticatedError, PayloadTooLargeError
from pdp.wire.error_answer import JSON
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.wire.exchange import HttpRequest

PATH: Final = "/cloudflare/posture/v1/devices"
SETS_PATH: Final = "/cloudflare/posture/v1/sets"  # below it, by its name: a set of devices of the exported rules
CLIENT_ID: Final = "cf-access-client-id"
CLIENT_SECRET: Final = "cf-access-client-secret"  # noqa: S105  # the name of a header
MAX_DEVICES: Final = 1_000  # the documentation's own limit
MAX_TEXT: Final = 256  # characters of an id or a serial number
_KEY_ID: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_SECRET: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_encode: Final = msgspec.json.Encoder().encode


class Asked(NamedTuple):
    """One device. `serial` None: blank, or shared with another device of the same call, which names neither."""

    device_id: str
    serial: str | None


class Scored(NamedTuple):
    """`device`: our id of it; None where it is not known."""

    device: str | None
    score: int


def read_devices(body: Any) -> list[Asked]:
    """The devices of one parsed call, each id once. Raises BadRequestError, PayloadTooLargeError.

    Other members are ignored, as they may grow. An id that stands twice with two serial numbers keeps neither.
    """
    devices = body.get("devices") if isinstance(body, dict) else None
    if not isinstance(devices, list):
        raise BadRequestError("the body must be an object with a list `devices`")
    if len(devices) > MAX_DEVICES:
        raise PayloadTooLargeError(f"the call has more than {MAX_DEVICES} devices")
    said: dict[str, set[str]] = {}
    for at, device in enumerate(devices):
        id_ = _text(device, "device_id", at)
        if not id_:
            raise BadRequestError("`device_id` is blank", pointer=f"/devices/{at}/device_id")
        said.setdefault(id_, set()).add(_text(device, "serial_number", at).strip())
    holders = Counter(serial.casefold() for serials in said.values() for serial in serials)
    return [Asked(id_, _own(serials, holders)) for id_, serials in said.items()]


def with_key(request: HttpRequest) -> HttpRequest:
    """The request with the API key that its Access client id and secret are; as it is where it has neither.

    The integration has two fields for its credentials and sends them in these headers: the id of an API key of ours
    goes into the first, its secret into the second. Raises BadRequestError where one of them is missing, or where
    another credential is given too; NotAuthenticatedError where the pair cannot be a key.
    """
    id_, secret = request.header(CLIENT_ID), request.header(CLIENT_SECRET)
    if id_ is None and secret is None:
        return request
    if id_ is None or secret is None:
        raise BadRequestError(f"`{CLIENT_ID}` and `{CLIENT_SECRET}` belong together")
    if any(name in ("authorization", "x-api-key") for name, _ in request.headers):
        raise BadRequestError("the request carries two different credentials; send one")
    if not _KEY_ID.fullmatch(id_) or not _SECRET.fullmatch(secret):
        raise NotAuthenticatedError("a valid API key is needed")
    key = ("x-api-key", f"sekisho_{id_}_{secret}")
    others = tuple(pair for pair in request.headers if pair[0] not in (CLIENT_ID, CLIENT_SECRET))
    return replace(request, headers=(*others, key))


def score_answer(asked: Sequence[Asked], scored: Mapping[str, Scored]) -> HttpAnswer:
    """The answer, in the order of the call; a device that has no score has the lowest."""
    result = {
        device.device_id: {"s2s_id": found.device or "", "score": found.score}
        for device in asked
        for found in (scored.get(device.device_id, Scored(None, 0)),)
    }
    return HttpAnswer(200, (JSON,), _encode({"result": result}))


def _own(serials: set[str], holders: Counter[str]) -> str | None:
    """The documentation: devices of one serial number cannot be told apart. So it tells nothing of either."""
    if len(serials) != 1:
        return None
    (serial,) = serials
    return serial if serial and holders[serial.casefold()] == 1 else None


def _text(device: Any, name: str, at: int) -> str:
    value = device.get(name, "") if isinstance(device, dict) else None
    if value is None and isinstance(device, dict):
        return ""  # null is as good as blank
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise BadRequestError(f"`{name}` must be at most {MAX_TEXT} visible characters", pointer=f"/devices/{at}")
    return value
