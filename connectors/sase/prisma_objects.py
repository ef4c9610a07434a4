"""The objects that the rules of a Prisma Access export name: tags, groups, HIP objects and profiles, lists.

Shapes, names and lengths: OpenAPI of Strata Cloud Manager (pan.dev), schemas `address-groups`, `dynamic-user-groups`,
`external-dynamic-lists`, `hip-objects`, `hip-profiles`, `schedules`, `tags`. Names are ASCII and made of contents; what
people read stands in descriptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.sase.documents import conditions_told, conditions_words, members_told, shortened
from connectors.sase.prisma_calendar import schedule
from pdp.errors import ExportError
from pdp.model.rules import Condition, short_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.sase.prisma_mapping import Checks, Mapped
    from pdp.model.rules import RuleModel

TAGGING: Final = "tagging"
DESCRIPTIONS: Final[Mapping[str, tuple[str, int]]] = {  # the field for people, and its length by the OpenAPI
    "address-groups": ("description", 1023),
    "dynamic-user-groups": ("description", 1023),
    "hip-objects": ("description", 255),
    "hip-profiles": ("description", 255),
    "tags": ("comments", 1023),
}
_MAX_FILTER: Final = 1024  # the OpenAPI says 2,047, the community's SDK 1,024: the shorter one
_MAX_MATCH: Final = 2048
_CUT_OFF: Final = "zt.cut-off"
LOST_USERS: Final = "zt-cut-off-users"
CUT_OFF_LIST: Final = "zt-cut-off-addresses"
_LOST: Final = (Condition("device.state", ("lost", "lost_unconfirmed_found")),)
# A report is the device's own word (`connectors.posture.hip_facts`): these are checked there, and are in a tag as well.
NOT_BY_ITS_OWN_WORD: Final = frozenset({"device.posture.tampered", "device.posture.certificate"})
_PHONES: Final = frozenset({"byod_phone", "byod_tablet"})

Check = tuple[str, dict[str, Any], str]  # name of the HIP object, its section, what people read


class Objects:
    """Collects what the rules ask for; each object once, under a name that its contents give it."""

    def __init__(self, model: RuleModel, mapped: Mapped) -> None:
        self._model = model
        self._mapped = mapped
        self._held: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in DESCRIPTIONS}
        self._held |= {"external-dynamic-lists": {}, "schedules": {}, TAGGING: {}}

    def documents(self) -> dict[str, list[dict[str, Any]]]:
        """Every kind of object, in the order of the names."""
        return {kind: [held for _, held in sorted(found.items())] for kind, found in self._held.items()}

    # Sets of sessions: tags on the address that GlobalProtect gave to one person on one device.

    def sessions(self, sets: Sequence[tuple[str, Sequence[Condition]]]) -> str:
        """The address group of the sessions that are in all of these sets; each is a tag. Raises ExportError."""
        tags = [self._tag(f"zt.{kind}-{_text_or_digest(kind, held)}", "session", held) for kind, held in sets]
        text = " and ".join(f"'{tag}'" for tag in tags)
        if len(text) > _MAX_FILTER:
            raise ExportError(f"a filter of {len(text)} characters is longer than {_MAX_FILTER}")
        name = f"zt-sessions-{short_digest(tags)}"
        words = [self._held[TAGGING][tag]["ja"] for tag in tags]
        self._add("address-groups", name, "／".join(words), dynamic={"filter": text})
        return name

    def lost_users(self) -> str:
        """The people one of whose devices is lost: cut off at once, on every device, by one tag."""
        tag = self._tag(_CUT_OFF, "user", _LOST)
        words = "端末の紛失により利用を止めている者（解除の承認まで）"
        self._add("dynamic-user-groups", LOST_USERS, words, filter=f"'{tag}'")
        return LOST_USERS

    def cut_off_list(self) -> str | None:
        """The list of addresses that this service serves; None where the mapping gives no place for it."""
        cut_off = self._mapped.cut_off
        if cut_off is None:
            return None
        said: dict[str, Any] = {"url": cut_off.url, "recurring": {"five_minute": {}}}
        if cut_off.certificate_profile:
            said["certificate_profile"] = cut_off.certificate_profile
        said["description"] = "直ちに遮断する端末の接続元アドレス"
        folder = self._mapped.objects_folder
        held = {"name": CUT_OFF_LIST, "folder": folder, "type": {"ip": said}}
        self._held["external-dynamic-lists"][CUT_OFF_LIST] = held
        return CUT_OFF_LIST

    def group(self, profile_id: str) -> str:
        """The tenant's group of one profile of users. Raises ExportError where the mapping lacks it."""
        group = self._mapped.groups.get(profile_id)
        if group is None:
            raise ExportError(f"the mapping has no group for `{profile_id}`")
        profile = self._model.profile(profile_id)
        self._held[TAGGING][group] = {
            "name": group,
            "of": "group",
            "profile": profile_id,
            **members_told(profile),
        }
        return group

    def _tag(self, name: str, of: str, conditions: Sequence[Condition]) -> str:
        words = conditions_words(self._model, conditions)
        self._add("tags", name, words.ja)
        told = {"name": name, "of": of, "all_of": conditions_told(conditions), "ja": words.ja, "en": words.en}
        self._held[TAGGING][name] = told
        return name

    # What GlobalProtect finds on the device.

    def hip(self, checks: Sequence[Check]) -> str:
        """The HIP profile for which all of these checks hold. Raises ExportError."""
        for name, section, words in checks:
            self._add("hip-objects", name, words, **section)
        match = " and ".join(f'"{name}"' for name, _, _ in checks)
        if len(match) > _MAX_MATCH:
            raise ExportError(f"a match of {len(match)} characters is longer than {_MAX_MATCH}")
        name = f"zt-hip-{short_digest([one for one, _, _ in checks])}"
        self._add("hip-profiles", name, "、".join(words for _, _, words in checks), match=match)
        return name

    def schedule(self, *, hours: bool) -> str:
        """Raises ExportError where the mapping has no calendar."""
        calendar, office = self._mapped.calendar, self._model.office
        if calendar is None or office is None:
            raise ExportError(
                "business days and hours need a `calendar` in the mapping, and office hours in the policy"
            )
        name = "zt-business-hours" if hours else "zt-business-days"
        self._held["schedules"][name] = schedule(name, self._mapped.objects_folder, calendar, office, hours=hours)
        return name

    def _add(self, kind: str, name: str, words: str, **rest: Any) -> None:
        field, most = DESCRIPTIONS[kind]
        folder = self._mapped.objects_folder
        self._held[kind][name] = {"name": name, "folder": folder, field: shortened(words, most), **rest}


def check_of(condition: Condition, device_class: str, checks: Checks) -> Check | None:
    """The HIP object that says exactly this of a class of devices; None where GlobalProtect does not say it here."""
    phone = device_class in _PHONES
    said = (condition.fact, condition.values)
    if said == ("device.posture.certificate", (True,)) and checks.certificate_profile:
        section = {"criteria": {"certificate_profile": checks.certificate_profile}}
        return "zt-certificate", {"certificate": section}, "端末証明書が有効"
    if said == ("device.posture.edr_running", (True,)) and checks.edr and not phone:
        vendor: dict[str, Any] = {"name": checks.edr.vendor}
        if checks.edr.product:
            vendor["product"] = list(checks.edr.product)
        criteria = {"is_installed": True, "real_time_protection": "yes"}
        return "zt-edr", {"anti_malware": {"criteria": criteria, "vendor": [vendor]}}, "EDRが稼働"
    if said == ("device.posture.disk_encrypted", (True,)) and checks.disk and not phone:
        location = {"name": "All", "encryption_state": {"is": "encrypted"}}
        criteria = {"is_installed": True, "encrypted_locations": [location]}
        return "zt-disk", {"disk_encryption": {"criteria": criteria}}, "ディスク全体を暗号化"
    if said == ("device.posture.tampered", (False,)) and checks.phones and phone:
        return "zt-not-jailbroken", {"mobile_device": {"criteria": {"jailbroken": False}}}, "改造されていない"
    if said == ("device.posture.screen_lock", (True,)) and checks.phones and phone:
        return "zt-passcode", {"mobile_device": {"criteria": {"passcode_set": True}}}, "画面ロックを設定"
    return None


def _text_or_digest(kind: str, conditions: Sequence[Condition]) -> str:
    """A class of devices is named; a set of several conditions has the digest of them."""
    return str(conditions[0].values[0]) if kind == "class" else short_digest(sorted(conditions))
