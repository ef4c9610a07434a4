"""What a GlobalProtect HIP report says about a device, as facts. Pure.

Sources: the vendor's pages "What Data Does the GlobalProtect App Collect" (10.1 and later), "HIP Objects Patch
Management Tab" (PAN-OS 11.1, with an example of the XML), and the words of the HIP criteria in the Strata Cloud
Manager objects API (`hip-objects`: `encryption_state` is encrypted, unencrypted, partial or unknown; `is_enabled`
and `real_time_protection` are yes, no or not-available).

The report is the device's own word, sent by its agent; the gateway does not examine it. What it cannot give:

- `certificate`: the report may carry one, but nothing in it says who verified it;
- `edr_risk`, `tampered`: an agent on the device cannot say them of the device;
- `screen_lock`: not collected, unless an administrator adds a custom check, whose meaning only they know;
- `patch_age_days`: missing patches have no dates. See `Reading.no_missing_patches_means_current`.

A word that is not one of those above, or a category that is absent, empty or excluded from collection, is unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from connectors.port import DeviceReport
from connectors.posture.bounded_xml import Bounds, parse_xml
from pdp.errors import BadRequestError
from pdp.model.directory import PostureReport

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element  # a type

    from connectors.port import NameKind
    from pdp.model.input import Known

# A report has 5 to 40 KB; one that lists 200 missing patches with their descriptions has 200 KB.
BOUNDS: Final = Bounds(bytes=1024 * 1024, elements=20_000, depth=16)
ROOT: Final = "hip-report"
MAX_NAME: Final = 128  # characters of a name by which a device is found
_TIME: Final = re.compile(r"(\d{2})/(\d{2})/(\d{4}) (\d{2}):(\d{2}):(\d{2})", re.ASCII)  # MM/DD/YYYY, no offset
_NUMBER: Final = re.compile(r"\d{1,4}", re.ASCII)
_FUTURE_DEFINITIONS: Final = timedelta(days=1)  # a vendor's day may begin before ours
_ANTI_MALWARE: Final = ("anti-malware", "antivirus")  # clients before 4.1 have antivirus and anti-spyware
_ENCRYPTED: Final = {"encrypted": True, "full": True, "unencrypted": False, "partial": False, "none": False}
_YES_NO: Final = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Reading:
    """How this site reads its reports.

    `utc_offset`: of the clocks of its devices, since `generate-time` names no offset. `definitions_age`: up to
    which definitions count as current. `edr_products`: the names of products that are the site's EDR, as
    `ProdInfo` writes them. `no_missing_patches_means_current`: the agent looks for patches in a process of its
    own, and until that has ended the list is empty too; so an empty list says nothing unless the site knows better.
    """

    utc_offset: timedelta = timedelta(hours=9)
    definitions_age: timedelta = timedelta(days=7)
    edr_products: frozenset[str] = frozenset()
    no_missing_patches_means_current: bool = False


DEFAULT_READING: Final = Reading()


def read_hip_report(text: bytes, source: str, reading: Reading = DEFAULT_READING) -> DeviceReport:
    """One report as the agent writes it.

    Raises BadRequestError where it is no HIP report, is not bounded, names no device or has no usable time:
    a report without a time could be of any day.
    """
    return report_of(parse_xml(text, BOUNDS), source, reading)


def report_of(root: Element, source: str, reading: Reading = DEFAULT_READING) -> DeviceReport:
    """The same of a parsed report. Raises BadRequestError."""
    if root.tag != ROOT:
        raise BadRequestError(f"the document is not a `{ROOT}`")
    categories = _categories(root)
    generated = _generated(root, reading.utc_offset)
    malware = [product for name in _ANTI_MALWARE for product in _products(categories.get(name))]
    posture = PostureReport(
        disk_encrypted=_disk_encrypted(categories.get("disk-encryption")),
        edr_running=_edr_running(malware, reading.edr_products),
        av_current=_any(_definitions_current(product, generated, reading.definitions_age) for product in malware),
        firewall=_any(_enabled(product) for product in _products(categories.get("firewall"))),
        patch_age_days=_patch_age(categories.get("patch-management"), reading),
        observed_at=_in_utc(generated),
        source=source,
    )
    return DeviceReport(_names(root, categories.get("host-info")), posture)


def _categories(root: Element) -> dict[str, Element]:
    """By name. A category that stands twice is refused: two readers would take two of them."""
    found: dict[str, Element] = {}
    for entry in root.findall("categories/entry"):
        name = entry.get("name", "")
        if name in found:
            raise BadRequestError(f"the category `{_shown(name)}` stands twice")
        found[name] = entry
    if not found:
        raise BadRequestError("the report has no categories")
    return found


def _generated(root: Element, offset: timedelta) -> datetime:
    text = _text(root, "generate-time")
    form = _TIME.fullmatch(text)
    if form is None:
        raise BadRequestError("`generate-time` is not a time of the form MM/DD/YYYY HH:MM:SS")
    month, day, year, hour, minute, second = (int(part) for part in form.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        raise BadRequestError("`generate-time` is a time that does not exist") from None


def _in_utc(generated: datetime) -> datetime:
    try:
        return generated.astimezone(UTC)
    except OverflowError:
        raise BadRequestError("`generate-time` lies outside the calendar") from None


def _names(root: Element, host: Element | None) -> dict[NameKind, str]:
    """Serial number, host id (the machine GUID on Windows), host name; the most trustworthy first."""
    given: tuple[tuple[NameKind, tuple[str, ...]], ...] = (
        ("serial", (_text(host, "serial-number"), _text(root, "serial-number"))),
        ("vendor_id", (_text(root, "host-id"), _text(host, "host-id"))),
        ("host_name", (_text(root, "host-name"), _text(host, "host-name"))),
    )
    names: dict[NameKind, str] = {}
    for kind, texts in given:
        stated = {text for text in texts if text}
        if len(stated) > 1:
            raise BadRequestError(f"the report gives two names of the kind `{kind}`")
        names.update((kind, text) for text in stated if len(text) <= MAX_NAME and text.isprintable())
    if not names:
        raise BadRequestError("the report names no device")
    return names


def _products(category: Element | None) -> list[Element]:
    return [] if category is None else category.findall("list/entry/ProductInfo")


def _disk_encrypted(category: Element | None) -> Known:
    """True where every drive that is named is encrypted.

    The report does not tell fixed drives from others, so all of them count. A drive that one product calls
    encrypted and another does not is unknown: nobody here can say which of the two is right.
    """
    said: dict[str, set[Known]] = {}
    for product in _products(category):
        for drive in product.findall("drives/entry"):
            name = _text(drive, "drive-name").rstrip("\\/").upper() or "/"
            said.setdefault(name, set()).add(_ENCRYPTED.get(_text(drive, "enc-state").lower(), "unknown"))
    drives: list[Known] = [next(iter(states)) if len(states) == 1 else "unknown" for states in said.values()]
    if False in drives:
        return False
    return True if drives and "unknown" not in drives else "unknown"


def _edr_running(products: list[Element], names: frozenset[str]) -> Known:
    """Of the products that the site calls its EDR; one that is not in the list may run all the same: unknown."""
    own = [product for product in products if _name_of(product) in names]
    return _any(_YES_NO.get(_text(product, "real-time-protection").lower(), "unknown") for product in own)


def _definitions_current(product: Element, generated: datetime, age: timedelta) -> Known:
    protection = _YES_NO.get(_text(product, "real-time-protection").lower())
    if protection is not True:
        return "unknown" if protection is None else False
    dated = _definitions_date(product)
    if dated is None:
        return "unknown"
    days = generated.date() - dated
    if days < -_FUTURE_DEFINITIONS:
        return "unknown"
    return days <= age


def _definitions_date(product: Element) -> date | None:
    prod = product.find("Prod")
    texts = ["" if prod is None else prod.get(name, "") for name in ("dateyear", "datemon", "dateday")]
    if not all(_NUMBER.fullmatch(text) for text in texts):
        return None
    year, month, day = (int(text) for text in texts)
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _patch_age(category: Element | None, reading: Reading) -> int | None:
    """0 or nothing known: see the module's own text."""
    if category is None or not reading.no_missing_patches_means_current:
        return None
    missing = category.findall("missing-patches")
    searched = any(_enabled(product) is True for product in _products(category))
    nothing_missing = len(missing) == 1 and len(missing[0]) == 0 and not (missing[0].text or "").strip()
    return 0 if searched and nothing_missing else None


def _enabled(product: Element) -> Known:
    return _YES_NO.get(_text(product, "is-enabled").lower(), "unknown")


def _any(verdicts: Iterable[Known]) -> Known:
    """One product that does it is enough; false only where each of them says no."""
    given = list(verdicts)
    if True in given:
        return True
    return False if given and all(verdict is False for verdict in given) else "unknown"


def _name_of(product: Element) -> str:
    prod = product.find("Prod")
    return "" if prod is None else prod.get("name", "")


def _text(parent: Element | None, name: str) -> str:
    """The text of the one child of this name; empty where there is none, or it is no plain text. Twice is refused."""
    children = [] if parent is None else parent.findall(name)
    if len(children) > 1:
        raise BadRequestError(f"`{name}` stands twice")
    return (children[0].text or "").strip() if children and len(children[0]) == 0 else ""


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name[:40])
