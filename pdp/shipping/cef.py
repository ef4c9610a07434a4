r"""ArcSight Common Event Format, `CEF:0`. Pure.

Escaping (standards, 10.3): in the header `\` and `|`; in the extension `\`, `=`, newline and carriage return. Every
other control character, and Unicode's own line separators, become a blank: a receiver that splits lines at one of
them would read the rest as an event of the sender's making.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pdp import __version__

if TYPE_CHECKING:
    from pdp.declog.record import Record
    from pdp.shipping.view import View

_CONTROLS: Final = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LINES: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MOST: Final = 1_023  # characters of one value: what the dictionary allows most of its keys
_MOST_SIGNATURE: Final = 1_023
_MOST_VERSION: Final = 31
_NAMES: Final = {
    "allow": "Access permitted",
    "limit": "Access permitted with limits",
    "step_up": "Stronger authentication required",
    "deny": "Access denied",
}
_SEVERITIES: Final = {"allow": 1, "limit": 2, "step_up": 4, "deny": 6}
_FAULT_SEVERITY: Final = 8


def cef_event(view: View) -> bytes:
    """One line without its end."""
    record = view.record
    refused = record.kind == "refusal"
    header = (
        "Sekisho",
        "Sekisho PDP",
        __version__[:_MOST_VERSION],
        f"{'refusal' if refused else 'decision'}-{record.outcome}"[:_MOST_SIGNATURE],
        "Request refused" if refused else _NAMES[record.outcome],
        str(_FAULT_SEVERITY if record.fault is not None else _SEVERITIES[record.outcome]),
    )
    extension = " ".join(f"{key}={escape_value(value)}" for key, value in _extension(view) if value)
    return ("CEF:0|" + "|".join(escape_header(field) for field in header) + "|" + extension).encode()


def _extension(view: View) -> list[tuple[str, str | None]]:
    record = view.record
    pairs: list[tuple[str, str | None]] = [
        ("rt", str(view.time_ms)),
        ("act", record.outcome),
        ("outcome", "success" if record.outcome in ("allow", "limit") else "failure"),
        ("reason", ",".join(record.reasons)),
        ("suser", record.subject_id),
        ("suid", record.subject_id),
        ("src" if "source_ip" not in view.masked else "shost", record.source_ip),
        ("dhost", record.resource_id),
        ("request", record.path),
        ("requestMethod", record.action if _is_method(record.action) else None),
        ("deviceExternalId", f"{view.node}.{view.worker}"),
        ("externalId", record.id),
        ("msg", record.error_message),
    ]
    labelled = (
        ("policy", record.policy_revision),
        ("caller", record.caller_id),
        ("device", record.device_id),
        ("resourceGroup", None if view.group == "unknown" else view.group),
        ("trace", record.trace_id or record.request_id),
        ("obligations", _obligations(record)),
    )
    for number, (label, value) in enumerate(labelled, 1):
        if value:
            pairs += [(f"cs{number}Label", label), (f"cs{number}", value)]
    return [*pairs, ("cn1Label", "sequence"), ("cn1", str(view.seq))]


def _is_method(action: str | None) -> bool:
    return action in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def _obligations(record: Record) -> str:
    return ",".join(f"{name}:{value}" for name, value in sorted(record.obligations.items()))


def escape_header(text: str) -> str:
    r"""A field of the header: `\` and `|` escaped, no line ends, which have no escape there."""
    return _LINES.sub(" ", text).replace("\\", "\\\\").replace("|", "\\|")


def escape_value(text: str) -> str:
    r"""A value of the extension: `\`, `=` and line ends escaped; `|` stays."""
    cut = text if len(text) <= _MOST else text[: _MOST - 1] + "…"
    escaped = _CONTROLS.sub(" ", cut).replace("\\", "\\\\").replace("=", "\\=")
    return escaped.replace("\n", "\\n").replace("\r", "\\r")
