"""Attribute values as directories write them: text, GUIDs, Active Directory's times, generalized time.

Pure. A value that cannot be read raises ValueFault with a short code, which the mapping counts; nothing is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID

from pdp.directory.files.dates import moment
from pdp.directory.files.faults import Wrong

if TYPE_CHECKING:
    from connectors.identity.ldap.messages import Entry

IdForm = Literal["text", "guid"]

MAX_TEXT: Final = 500  # characters of a name
ACCOUNT_DISABLED: Final = 0x2  # userAccountControl, ADS_UF_ACCOUNTDISABLE ([MS-ADTS] 2.2.16)
NEVER: Final = frozenset((0, 0x7FFF_FFFF_FFFF_FFFF))  # accountExpires ([MS-ADA1] 2.4)
LOCKED_FOR_GOOD: Final = "000001010000Z"  # pwdAccountLockedTime of the password policy overlay

_FILE_TIME_ZERO: Final = datetime(1601, 1, 1, tzinfo=UTC)
_GUID_BYTES: Final = 16
_NUMBER: Final = re.compile(r"-?\d{1,19}", re.ASCII)
_MAX_NUMBER: Final = 2**63 - 1
_GENERALIZED: Final = re.compile(
    r"(\d{4})(\d{2})(\d{2})(\d{2})(?:(\d{2})(?:(\d{2}))?)?(?:[.,]\d{1,9})?(Z|[+-]\d{2}(?:\d{2})?)", re.ASCII
)
_LATEST_YEAR: Final = 9999


class ValueFault(ValueError):  # noqa: N818  # the value is at fault, not we
    """`code` is counted; `detail` names the attribute, for the operator."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def one(entry: Entry, name: str) -> bytes | None:
    """The single value of an attribute, None where it is absent. Raises ValueFault where there are several."""
    values = entry.attributes.get(name.lower(), ())
    if len(values) > 1:
        raise ValueFault("several_values", f"`{name}` has {len(values)} values, and one is expected")
    return values[0] if values else None


def text(value: bytes, name: str) -> str:
    """UTF-8 without control characters; spaces at its ends do not count."""
    try:
        found = value.decode("utf-8").strip(" \u3000")
    except UnicodeDecodeError:
        raise ValueFault("bad_text", f"`{name}` is not UTF-8") from None
    if len(found) > MAX_TEXT or any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in found):
        raise ValueFault("bad_text", f"`{name}` is too long, or holds characters that are not shown")
    return found


def texts(entry: Entry, name: str, separator: str = "") -> list[str]:
    """Every value, in a fixed order, because a directory keeps none; empty ones do not count."""
    found = [text(value, name) for value in entry.attributes.get(name.lower(), ())]
    if separator:
        found = [part.strip(" \u3000") for value in found for part in value.split(separator)]
        return list(dict.fromkeys(part for part in found if part))
    return sorted({value for value in found if value})


def guid(value: bytes, name: str) -> str:
    """Active Directory's GUID as it is written: the first three groups are little-endian ([MS-DTYP] 2.3.4.2)."""
    if len(value) != _GUID_BYTES:
        raise ValueFault("bad_id", f"`{name}` is no GUID of 16 bytes")
    return str(UUID(bytes_le=value))


def number(value: bytes, name: str) -> int:
    plain = value.decode("ascii", "replace")
    if not _NUMBER.fullmatch(plain) or abs(int(plain)) > _MAX_NUMBER:
        raise ValueFault("bad_number", f"`{name}` is not a number")
    return int(plain)


def truth(value: bytes, name: str) -> bool:
    """RFC 4517 section 3.3.3, in any case: 389 Directory Server writes `true` and `TRUE`."""
    plain = value.upper()
    if plain not in (b"TRUE", b"FALSE"):
        raise ValueFault("bad_truth", f"`{name}` is neither TRUE nor FALSE")
    return plain == b"TRUE"


def file_time(value: bytes, name: str) -> datetime | None:
    """Active Directory's time: steps of 100 ns since 1601, in UTC. None: never, or beyond the calendar."""
    ticks = number(value, name)
    if ticks in NEVER:
        return None
    if ticks < 0:
        raise ValueFault("bad_date", f"`{name}` is a negative time")
    try:
        return _FILE_TIME_ZERO + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return None


def date_or_time(value: bytes, name: str) -> date | datetime | None:
    """Generalized time, or a date as Japanese offices write it; None for 9999-12-31, no end."""
    plain = text(value, name)
    try:
        return generalized_time(plain) or moment(plain)
    except Wrong as wrong:
        raise ValueFault("bad_date", f"`{name}`: {wrong.message}") from None
    except ValueError:
        raise ValueFault("bad_date", f"`{name}` is not a date") from None


def generalized_time(plain: str) -> datetime | None:
    """RFC 4517 section 3.3.13; None where the text has another form. Raises ValueError for no day of the calendar."""
    found = _GENERALIZED.fullmatch(plain)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if year == _LATEST_YEAR:
        return datetime(year, month, day, tzinfo=UTC)
    zone = found[7]
    minutes = 0 if zone == "Z" else int(zone[1:3]) * 60 + int(zone[3:5] or 0)
    offset = timedelta(minutes=-minutes if zone.startswith("-") else minutes)
    return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) - offset


def as_generalized_time(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y%m%d%H%M%SZ")
