"""The access rules, read a second time: a test oracle that shares nothing with the service or its Rego.

`judge` takes a parsed JSON value and answers as the contract (access-rules.md) demands. The code follows the contract
from top to bottom and repeats itself where the contract does; section numbers stand beside the rules. Where a
sentence has two readings the stricter one is taken, and the comment says `READING:`.

The order of judgement (section 3):

0. the document itself: anything but a complete `pdp.input/v1` document is `BAD_INPUT`
1. ended or disabled
2. separation of the My Number layer
3. device class against resource group
4. permits, windows, scopes, and what the enforcement point can carry out
5. posture
6. authentication strength (asks, never denies)
7. context
8. disaster mode (relaxes 5 to 7; it stands inside the functions of those groups)
"""

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

# --- Parameters, with the defaults of sections 3, 5 and 8 ---------------------------------------------------------

PATCH_WARN_DAYS = 14
PATCH_DENY_DAYS = 30
POSTURE_STALE_HOURS = 24
POSTURE_DEGRADED_HOURS = 24
SHARED_SESSION_MINUTES = 60
ALLOWED_COUNTRIES = ("JP",)

# --- Section 5: the codes, in the order of the table --------------------------------------------------------------

GROUP_1_CODES = (
    "ACCOUNT_EXPIRED",
    "ACCOUNT_SUSPENDED",
    "APPOINTMENT_ENDED",
    "CONTRACT_ENDED",
    "SHARED_ACCOUNT",
    "IDENTITY_SOURCE_UNKNOWN",
    "DEVICE_LOST",
    "LOST_NOT_CLEARED",
    "DEVICE_RETIRED",
    "SERVICE_ENDED",
    "SERVICE_NOT_STARTED",
    "RESOURCE_UNKNOWN",
)
GROUP_2_CODES = ("SEGMENT_SEPARATED",)
GROUP_3_CODES = (
    "DEVICE_UNREGISTERED",
    "BYOD_SCOPE",
    "DEVICE_CLASS",
    "TAKEOUT_NOT_ALLOWED",
    "SEGMENT_NOT_YET_MOVED",
)
GROUP_4_CODES = (
    "PERMIT_MISSING",
    "PERMIT_EXPIRED",
    "PERMIT_HELD",
    "LOAN_MISSING",
    "LOAN_MISMATCH",
    "LOAN_EXPIRED",
    "DEVICE_OF_OTHER_USER",
    "NOT_IN_SECTION",
    "ROLE_REQUIRED",
    "ORG_SCOPE",
    "TENANT_NOT_ALLOWED",
    "WORK_PERMIT_MISSING",
    "OUT_OF_WINDOW",
    "OUT_OF_SCOPE",
    "NOT_NAMED",
    "SCREEN_TRANSFER_REQUIRED",
    "READ_ONLY",
    "PEP_CANNOT_ENFORCE",
)
GROUP_5_CODES = (
    "CERTIFICATE_MISSING",
    "DEVICE_TAMPERED",
    "DEVICE_QUARANTINED",
    "EDR_NOT_RUNNING",
    "EDR_RISK_HIGH",
    "EDR_RISK_MEDIUM",
    "DISK_NOT_ENCRYPTED",
    "PATCH_OVERDUE_DENY",
    "POSTURE_STALE",
    "POSTURE_UNKNOWN",
    "POSTURE_UNAVAILABLE",
)
GROUP_6_CODES = ("STEPUP_AUTH_STRENGTH",)
GROUP_7_CODES = (
    "PATH_NOT_PROTECTED",
    "UNTRUSTED_NETWORK",
    "UNUSUAL_USE",
    "IMPOSSIBLE_TRAVEL",
    "IMPERSONATION",
    "MALWARE_ALERT",
    "COUNTRY_NOT_ALLOWED",
)
# The order in which the first that applies is the primary code, not the order of the table.
PRIMARY_CODES = (
    "BREAK_GLASS",
    "OK_DISASTER",
    "OK_MAINTENANCE",
    "OK_FEDERATED",
    "OK_BYOD_COMMUNICATION",
    "OK_SCREEN_TRANSFER",
    "LEGACY_READONLY",
    "OK_LOAN",
    "OK_SHARED_TERMINAL",
    "OK_CONCURRENT_POST",
    "OK_REMOTE",
    "OK",
)
WARNING_CODES = ("PATCH_OVERDUE_WARN", "DISK_NOT_ENCRYPTED_WARN")
# `EVALUATION_ERROR` and `POLICY_STALE` come from the service, not from a document: nothing here answers them.
SERVICE_CODES = ("EVALUATION_ERROR", "POLICY_STALE")

ALL_CODES = (
    *PRIMARY_CODES,
    "OK_AFTER_HOURS",
    *WARNING_CODES,
    *GROUP_1_CODES,
    *GROUP_2_CODES,
    *GROUP_3_CODES,
    *GROUP_4_CODES,
    *GROUP_5_CODES,
    *GROUP_6_CODES,
    *GROUP_7_CODES,
    "BAD_INPUT",
    *SERVICE_CODES,
)

# Section 5: these words need an enforcement point that declares the same word in `context.pep`.
ENFORCED_OBLIGATIONS = ("clipboard", "print", "save", "download", "browser_only", "record_session")
# Every obligation that exists.
ALL_OBLIGATIONS = (
    *ENFORCED_OBLIGATIONS,
    "screen_transfer_only",
    "session_max_minutes",
    "end_at",
    "terminate_sessions",
    "quarantine",
    "wipe",
    "warn",
    "alert",
)

# --- Section 2: the input document --------------------------------------------------------------------------------

PRIVATE_CLASSES = ("byod_phone", "byod_tablet", "byod_pc")

# The closed enumerations. `unknown` stands only where section 2 lists it.
ENUMERATIONS: dict[str, tuple[str, ...]] = {
    "subject.kind": (
        "staff",
        "fixed_term_staff",
        "municipal_staff",
        "contractor",
        "emergency_account",
        "shared_account",
        "unknown",
    ),
    "subject.employment": ("not_started", "active", "suspended", "ended"),
    "subject.identity_source": ("integrated", "federated", "none"),
    "device.class": (
        "managed_pc",
        "section_pc",
        "mobile_pc",
        "byod_phone",
        "byod_tablet",
        "byod_pc",
        "maintenance_pc",
        "municipal_pc",
        "mynumber_terminal",
        "unknown",
    ),
    "device.ownership": ("organisation", "private", "unknown"),
    "device.relation": ("own", "assigned_to_other", "pool", "none"),
    "device.loan": ("none", "valid", "mismatch", "expired"),
    "device.permit": ("none", "valid", "expired", "held"),
    "device.takeout": ("permitted", "not_permitted", "unknown"),
    "device.state": ("in_service", "lost", "lost_unconfirmed_found", "quarantined", "retired"),
    "device.posture.edr_risk": ("none", "low", "medium", "high", "unknown"),
    "resource.group": (
        "communication",
        "no_code",
        "internet",
        "business",
        "data",
        "lgwan",
        "mynumber",
        "server_admin",
        "account_admin",
        "home_working",
        "legacy",
        "disaster",
        "remediation",
        "unknown",
    ),
    "resource.segment": ("cloud", "internet", "lgwan", "mynumber", "unknown"),
    "resource.status": ("not_started", "in_service", "readonly", "ended"),
    "resource.tenant": ("own", "other"),
    "action.name": ("access", "read", "write", "download", "administer", "screen_transfer"),
    "context.zone": ("office", "sase", "ip_vpn", "carrier", "security_cloud", "public"),
    "context.underlay": ("office", "home", "public_wifi", "carrier", "unknown"),
    "context.risk": ("bulk_download", "impossible_travel", "impersonation", "malware_alert"),  # of the list's members
    "context.work_permit": ("none", "valid", "out_of_window", "out_of_scope", "not_named"),
    "context.sources.posture": ("ok", "unavailable"),
    "context.sources.identity": ("ok", "unavailable"),
}

Check = Callable[[object], bool]


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(member, str) for member in value)


def is_truth(value: object) -> bool:
    return isinstance(value, bool)


def is_truth_or_unknown(value: object) -> bool:
    return isinstance(value, bool) or value == "unknown"


def is_truth_or_unknown_or_not_managed(value: object) -> bool:
    return isinstance(value, bool) or value in ("unknown", "not_managed")


def is_integer(value: object) -> bool:
    # In Python a bool is an int; in JSON it is not.
    return isinstance(value, int) and not isinstance(value, bool)


def is_auth_level(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 3


def is_auth_age(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1440


def is_age_or_unknown(value: object) -> bool:
    if value == "unknown":
        return True
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_one_of(name: str) -> Check:
    def check(value: object) -> bool:
        return isinstance(value, str) and value in ENUMERATIONS[name]

    return check


def is_list_of_risks(value: object) -> bool:
    if not isinstance(value, list):
        return False
    return all(isinstance(member, str) and member in ENUMERATIONS["context.risk"] for member in value)


def is_rfc_3339(value: object) -> bool:
    # READING: capital T and Z, a real calendar date, no leap second; RFC 3339 section 5.6 lets an application ask that.
    if not isinstance(value, str):
        return False
    form = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
    if re.fullmatch(form, value) is None:
        return False
    try:
        dt.datetime.fromisoformat(value[:19])
    except ValueError:
        return False
    return True


def is_permit_end(value: object) -> bool:
    return value == "none" or is_rfc_3339(value)


# Every key of the document, and what its value must be. A key that does not stand here is refused.
SUBJECT: dict[str, Check] = {
    "id": is_text,
    "kind": is_one_of("subject.kind"),
    "organisation": is_text,
    "departments": is_list_of_texts,
    "roles": is_list_of_texts,
    "employment": is_one_of("subject.employment"),
    "identity_source": is_one_of("subject.identity_source"),
    "auth_level": is_auth_level,
    "auth_age_min": is_auth_age,
}
POSTURE: dict[str, Check] = {
    "certificate": is_truth_or_unknown,
    "disk_encrypted": is_truth_or_unknown,
    "edr_running": is_truth_or_unknown_or_not_managed,
    "edr_risk": is_one_of("device.posture.edr_risk"),
    "av_current": is_truth_or_unknown,
    "firewall": is_truth_or_unknown,
    "screen_lock": is_truth_or_unknown,
    "tampered": is_truth_or_unknown,
    "patch_age_days": is_age_or_unknown,
    "age_hours": is_age_or_unknown,
    "source": is_text,
}


def is_record(shape: dict[str, Check]) -> Check:
    """A JSON object that has every key of `shape`, no other key, and a good value under each."""

    def check(value: object) -> bool:
        if not isinstance(value, dict):
            return False
        if set(value) != set(shape):
            return False
        return all(shape[key](value[key]) for key in shape)

    return check


DEVICE: dict[str, Check] = {
    "id": is_text,
    "class": is_one_of("device.class"),
    "ownership": is_one_of("device.ownership"),
    "registered": is_truth,
    "shared": is_truth,
    "relation": is_one_of("device.relation"),
    "loan": is_one_of("device.loan"),
    "permit": is_one_of("device.permit"),
    "takeout": is_one_of("device.takeout"),
    "state": is_one_of("device.state"),
    "returned_from_outside": is_truth,
    "posture": is_record(POSTURE),
}
RESOURCE: dict[str, Check] = {
    "id": is_text,
    "group": is_one_of("resource.group"),
    "segment": is_one_of("resource.segment"),
    "status": is_one_of("resource.status"),
    "departments": is_list_of_texts,
    "organisations": is_list_of_texts,
    "sensitivity": is_integer,
    "tenant": is_one_of("resource.tenant"),
}
ACTION: dict[str, Check] = {
    "name": is_one_of("action.name"),
}
SOURCES: dict[str, Check] = {
    "posture": is_one_of("context.sources.posture"),
    "identity": is_one_of("context.sources.identity"),
}
CONTEXT: dict[str, Check] = {
    "zone": is_one_of("context.zone"),
    "underlay": is_one_of("context.underlay"),
    "path_encrypted": is_truth_or_unknown,
    "country": is_text,
    "business_day": is_truth,
    "business_hours": is_truth,
    "risk": is_list_of_risks,
    "work_permit": is_one_of("context.work_permit"),
    "work_permit_until": is_permit_end,
    # READING: "`disaster_mode` counts only when it is `true`" says that "unknown" may stand here, and declares nothing.
    "disaster_mode": is_truth_or_unknown,
    "sources": is_record(SOURCES),
    "pep": is_list_of_texts,
}
DOCUMENT: dict[str, Check] = {
    "schema": lambda value: value == "pdp.input/v1",
    "subject": is_record(SUBJECT),
    "device": is_record(DEVICE),
    "resource": is_record(RESOURCE),
    "action": is_record(ACTION),
    "context": is_record(CONTEXT),
}


def is_input_document(document: object) -> bool:
    """Section 2: the value is a complete `pdp.input/v1` document and its values are ones that the contract lists."""
    if not is_record(DOCUMENT)(document):
        return False
    parts = cast("dict[str, dict[str, Any]]", document)
    # `resource.segment` is "unknown" (with group "unknown") only.
    return parts["resource"]["segment"] != "unknown" or parts["resource"]["group"] == "unknown"


@dataclass(frozen=True)
class Facts:
    """The facts that some rule reads. `None` stands for an age that is unknown.

    Not here, for no rule reads them (section 2): the ids, `auth_age_min`, `ownership`, `av_current`, `firewall`,
    `source`, `sensitivity`, `sources.identity`.
    """

    kind: str
    organisation: str
    departments: list[str]
    roles: list[str]
    employment: str
    identity_source: str
    auth_level: int

    device_class: str
    registered: bool
    shared: bool
    relation: str
    loan: str
    permit: str
    takeout: str
    state: str
    returned_from_outside: bool

    certificate: bool | str
    disk_encrypted: bool | str
    edr_running: bool | str
    edr_risk: str
    screen_lock: bool | str
    tampered: bool | str
    patch_age_days: int | None
    age_hours: int | None

    group: str
    segment: str
    status: str
    resource_departments: list[str]
    resource_organisations: list[str]
    tenant: str

    action: str

    zone: str
    underlay: str
    path_encrypted: bool | str
    country: str
    business_day: bool
    business_hours: bool
    risk: list[str]
    work_permit: str
    work_permit_until: str
    disaster_mode: bool
    posture_source: str
    pep: list[str]

    @property
    def in_office(self) -> bool:
        # Section 4: "outside" = any zone but `office`.
        return self.zone == "office"

    @property
    def is_private(self) -> bool:
        return self.device_class in PRIVATE_CLASSES

    @property
    def disaster_applies(self) -> bool:
        # Section 9, "Disaster mode applies".
        return (
            self.disaster_mode is True
            and self.kind == "staff"
            and "disaster_response" in self.roles
            and self.group in ("communication", "disaster")
        )


def facts_of(document: object) -> Facts:
    """The facts of a document that `is_input_document` has accepted."""
    parts = cast("dict[str, dict[str, Any]]", document)
    subject, device, resource, context = parts["subject"], parts["device"], parts["resource"], parts["context"]
    posture = device["posture"]
    return Facts(
        kind=subject["kind"],
        organisation=subject["organisation"],
        departments=subject["departments"],
        roles=subject["roles"],
        employment=subject["employment"],
        identity_source=subject["identity_source"],
        auth_level=subject["auth_level"],
        device_class=device["class"],
        registered=device["registered"],
        shared=device["shared"],
        relation=device["relation"],
        loan=device["loan"],
        permit=device["permit"],
        takeout=device["takeout"],
        state=device["state"],
        returned_from_outside=device["returned_from_outside"],
        certificate=posture["certificate"],
        disk_encrypted=posture["disk_encrypted"],
        edr_running=posture["edr_running"],
        edr_risk=posture["edr_risk"],
        screen_lock=posture["screen_lock"],
        tampered=posture["tampered"],
        patch_age_days=None if posture["patch_age_days"] == "unknown" else posture["patch_age_days"],
        age_hours=None if posture["age_hours"] == "unknown" else posture["age_hours"],
        group=resource["group"],
        segment=resource["segment"],
        status=resource["status"],
        resource_departments=resource["departments"],
        resource_organisations=resource["organisations"],
        tenant=resource["tenant"],
        action=parts["action"]["name"],
        zone=context["zone"],
        underlay=context["underlay"],
        path_encrypted=context["path_encrypted"],
        country=context["country"],
        business_day=context["business_day"],
        business_hours=context["business_hours"],
        risk=context["risk"],
        work_permit=context["work_permit"],
        work_permit_until=context["work_permit_until"],
        disaster_mode=context["disaster_mode"] is True,
        posture_source=context["sources"]["posture"],
        pep=context["pep"],
    )


# --- Section 4: the matrix ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """A cell that is not ×: the level it asks, and what else it asks."""

    level: int
    screen_transfer: bool = False
    own_department: bool = False
    role: str = ""
    work_permit: bool = False
    own_organisation: bool = False


# A column that is not named in a row is ×.
MATRIX: dict[str, dict[str, Cell]] = {
    "communication": {
        "managed_pc office": Cell(2),
        "managed_pc outside": Cell(2),
        "section_pc office": Cell(2),
        "mobile_pc": Cell(2),
        "byod_phone": Cell(2),
        "byod_tablet": Cell(2),
        "byod_pc": Cell(2),
    },
    "no_code": {
        "managed_pc office": Cell(2),
        "managed_pc outside": Cell(3),
        "section_pc office": Cell(2),
        "mobile_pc": Cell(3),
    },
    "internet": {
        "managed_pc office": Cell(1),
        "managed_pc outside": Cell(2),
        "section_pc office": Cell(1),
        "mobile_pc": Cell(2),
    },
    "business": {
        "managed_pc office": Cell(2),
        "managed_pc outside": Cell(3),
        "section_pc office": Cell(2, own_department=True),
        "mobile_pc": Cell(3),
    },
    "data": {
        "managed_pc office": Cell(2),
        "managed_pc outside": Cell(3),
        "section_pc office": Cell(2, role="data_user"),
        "mobile_pc": Cell(3),
        "municipal_pc": Cell(2, own_organisation=True),
    },
    "lgwan": {
        "managed_pc office": Cell(2, screen_transfer=True),
        "managed_pc outside": Cell(3, screen_transfer=True),
        "section_pc office": Cell(2, screen_transfer=True, own_department=True),
        "mobile_pc": Cell(3, screen_transfer=True),
    },
    "mynumber": {
        "mynumber_terminal office": Cell(2),
    },
    "server_admin": {
        "managed_pc office": Cell(3, role="server_admin"),
        "managed_pc outside": Cell(3, role="server_admin", work_permit=True),
        "maintenance_pc ip_vpn": Cell(3, work_permit=True),
    },
    "account_admin": {
        "managed_pc office": Cell(3, role="account_admin"),
    },
    "home_working": {
        "byod_tablet": Cell(2, screen_transfer=True),
        "byod_pc": Cell(2, screen_transfer=True),
    },
    "disaster": {
        "managed_pc office": Cell(2),
        "managed_pc outside": Cell(2),
        "section_pc office": Cell(2),
        "mobile_pc": Cell(2),
    },
    "remediation": {
        "managed_pc office": Cell(1),
        "managed_pc outside": Cell(1),
        "section_pc office": Cell(1),
        "mobile_pc": Cell(1),
    },
}

# The sentence on `legacy` systems below the table, one row per status; the other statuses end in group 1.
LEGACY: dict[str, dict[str, Cell]] = {
    "readonly": {
        "managed_pc office": Cell(2),
    },
    "in_service": {
        "managed_pc office": Cell(1),
        "section_pc office": Cell(1),
        # READING: "in the office" belongs to the two classes before it; a mobile terminal has one column elsewhere too.
        "mobile_pc": Cell(2),
    },
}


def column_of(f: Facts) -> str:
    """The matrix column of a device where it stands; a column that no row names is × everywhere."""
    if f.device_class in ("managed_pc", "section_pc", "mynumber_terminal"):
        return f.device_class + (" office" if f.in_office else " outside")
    if f.device_class == "maintenance_pc":
        # Section 9: it reaches `server_admin` only in zone `ip_vpn`, elsewhere ×.
        return "maintenance_pc ip_vpn" if f.zone == "ip_vpn" else "maintenance_pc elsewhere"
    return f.device_class


def cell_of(f: Facts) -> Cell | None:
    """The cell for this device and resource, or `None` for ×."""
    if f.group == "legacy":
        return LEGACY[f.status].get(column_of(f))
    if f.group == "business" and f.segment == "lgwan":
        # Section 4: while its segment is `lgwan`, at the level of the `lgwan` row, by screen transfer.
        return MATRIX["lgwan"].get(column_of(f))
    return MATRIX[f.group].get(column_of(f))


# --- Group 1: ended or disabled -----------------------------------------------------------------------------------


def ended_or_disabled(f: Facts) -> set[str]:
    codes: set[str] = set()

    # Section 9: kind unknown or identity source none; employment is then not judged.
    if f.kind == "unknown" or f.identity_source == "none":
        codes.add("IDENTITY_SOURCE_UNKNOWN")
    elif f.employment in ("ended", "not_started"):
        if f.kind == "fixed_term_staff":
            codes.add("APPOINTMENT_ENDED")
        elif f.kind == "contractor":
            codes.add("CONTRACT_ENDED")
        else:
            codes.add("ACCOUNT_EXPIRED")
    elif f.employment == "suspended":
        codes.add("ACCOUNT_SUSPENDED")

    # Section 1: a shared account is never allowed.
    if f.kind == "shared_account":
        codes.add("SHARED_ACCOUNT")

    if f.state == "lost":
        codes.add("DEVICE_LOST")
    if f.state == "lost_unconfirmed_found":
        codes.add("LOST_NOT_CLEARED")
    if f.state == "retired":
        codes.add("DEVICE_RETIRED")

    # Section 9: a resource of group unknown gives `RESOURCE_UNKNOWN` only.
    # READING: the resource then gives no other code; what is wrong with the account or the device is still reported.
    if f.group == "unknown":
        codes.add("RESOURCE_UNKNOWN")
    elif f.status == "ended":
        codes.add("SERVICE_ENDED")
    elif f.status == "not_started":
        codes.add("SERVICE_NOT_STARTED")

    return codes


# --- Group 2: separation ------------------------------------------------------------------------------------------


def separation(f: Facts) -> set[str]:
    # READING: the `mynumber` row of the matrix is a resource group. (A catalogue that puts a system of another group into
    # the segment is refused where it is read, so the two readings differ for no system that exists.)
    in_separated_layer = f.group == "mynumber"
    if in_separated_layer and f.device_class != "mynumber_terminal":
        return {"SEGMENT_SEPARATED"}
    return set()


# --- Group 3: device class against resource group -----------------------------------------------------------------


def device_against_resource(f: Facts) -> set[str]:
    # Section 9: one code, the first that holds of: not registered, × of the matrix, take-out, segment not yet moved.
    if not f.registered:
        return {"DEVICE_UNREGISTERED"}
    if cell_of(f) is None:
        # Section 4: a × gives `DEVICE_CLASS`, except private devices and a `section_pc` outside.
        # READING: the exceptions hold for a × of the `legacy` sentence too.
        if f.is_private:
            return {"BYOD_SCOPE"}
        if f.device_class == "section_pc" and not f.in_office:
            return {"TAKEOUT_NOT_ALLOWED"}
        return {"DEVICE_CLASS"}
    if f.device_class == "managed_pc" and not f.in_office and f.takeout != "permitted":
        return {"TAKEOUT_NOT_ALLOWED"}
    if f.group == "business" and f.segment == "lgwan" and f.action != "screen_transfer":
        return {"SEGMENT_NOT_YET_MOVED"}
    return set()


# --- Group 4: permits and windows ---------------------------------------------------------------------------------


def limits_of_the_place(f: Facts, cell: Cell) -> dict[str, object]:
    """The obligations that are known before posture (sections 5 and 9): they go with an allow, and make it a limit."""
    limits: dict[str, object] = {}

    if f.device_class in ("byod_phone", "byod_tablet") and f.group == "communication":
        limits |= {"clipboard": "off", "save": "off"}
    if f.device_class == "byod_pc" and f.group == "communication":
        limits |= {"clipboard": "off", "save": "off", "browser_only": "on", "download": "off", "print": "off"}

    if needs_browser_only(f):
        limits |= {"browser_only": "on"}

    if cell.screen_transfer:
        limits |= {"clipboard": "off", "print": "off", "save": "off", "screen_transfer_only": "on"}

    if f.device_class == "section_pc" and f.shared:
        limits |= {"session_max_minutes": SHARED_SESSION_MINUTES}

    # Section 9: recording is required of a cell that needs a work permit, whether or not the permit is valid.
    if cell.work_permit:
        limits |= {"record_session": "on"}
        # READING: a window whose end is "none" sets no end.
        if f.work_permit_until != "none":
            limits |= {"end_at": f.work_permit_until}

    if f.kind == "emergency_account":
        limits |= {"record_session": "on", "alert": "admins"}

    return limits


def needs_browser_only(f: Facts) -> bool:
    # Section 5: a `section_pc` without a managed EDR, in the office, on `communication`.
    # READING: not on `remediation` and `disaster`; elsewhere such a terminal is refused in group 5.
    if f.device_class != "section_pc" or f.group != "communication":
        return False
    if f.edr_running == "not_managed":
        return True
    # READING: disaster mode forgives an unknown EDR in group 5. Were it not limited like one that is known to be
    # missing, unknowing the fact would lift the limit, and section 3 forbids that.
    return f.disaster_applies and f.edr_running == "unknown"


def permits_and_windows(f: Facts, cell: Cell) -> set[str]:
    codes: set[str] = set()

    # The BYOD permit: every cell of a private device that is not × says "+ permit".
    if f.is_private:
        if f.permit == "none":
            codes.add("PERMIT_MISSING")
        if f.permit == "expired":
            codes.add("PERMIT_EXPIRED")
        if f.permit == "held":
            codes.add("PERMIT_HELD")

    # The loan: `mobile_pc` goes by its loan.
    if f.device_class == "mobile_pc":
        if f.loan == "none":
            codes.add("LOAN_MISSING")
        if f.loan == "mismatch":
            codes.add("LOAN_MISMATCH")
        if f.loan == "expired":
            codes.add("LOAN_EXPIRED")

    # Section 4, "Whose device": these classes belong to one person.
    # READING: a device that is not known to be this person's is another's.
    one_person = ("managed_pc", *PRIVATE_CLASSES, "municipal_pc", "maintenance_pc")
    if f.device_class in one_person and f.relation != "own":
        codes.add("DEVICE_OF_OTHER_USER")

    # Departments that a resource names bind everyone; "own department" asks moreover that it names one.
    shares_department = any(department in f.resource_departments for department in f.departments)
    if f.resource_departments and not shares_department:
        codes.add("NOT_IN_SECTION")
    if cell.own_department and not f.resource_departments:
        codes.add("NOT_IN_SECTION")

    if cell.role and cell.role not in f.roles:
        codes.add("ROLE_REQUIRED")

    # Section 9: identity source `federated` and the subject's organisation among the resource's.
    if cell.own_organisation:
        if f.identity_source != "federated":
            codes.add("ORG_SCOPE")
        if f.organisation not in f.resource_organisations:
            codes.add("ORG_SCOPE")

    if f.tenant != "own":
        codes.add("TENANT_NOT_ALLOWED")

    if cell.work_permit:
        if f.work_permit == "none":
            codes.add("WORK_PERMIT_MISSING")
        if f.work_permit == "out_of_window":
            codes.add("OUT_OF_WINDOW")
        if f.work_permit == "out_of_scope":
            codes.add("OUT_OF_SCOPE")
        if f.work_permit == "not_named":
            codes.add("NOT_NAMED")

    if cell.screen_transfer and f.action != "screen_transfer":
        codes.add("SCREEN_TRANSFER_REQUIRED")

    # Section 9: any group whose status is `readonly`.
    if f.status == "readonly" and f.action != "read":
        codes.add("READ_ONLY")

    # Sections 5 and 9: judged beside the other codes, and reported with them.
    for word in limits_of_the_place(f, cell):
        if word in ENFORCED_OBLIGATIONS and word not in f.pep:
            codes.add("PEP_CANNOT_ENFORCE")

    return codes


# --- Group 5: posture ---------------------------------------------------------------------------------------------


def posture(f: Facts) -> set[str]:
    """The codes of group 5 that deny. `EDR_RISK_MEDIUM` only asks for a level: see `step_up_causes`."""
    codes: set[str] = set()

    # Section 5: on `remediation` group 5 is not judged.
    if f.group == "remediation":
        return codes

    # Section 5, first half of the rules: on every class.
    if f.tampered is True:
        codes.add("DEVICE_TAMPERED")
    if f.tampered == "unknown":
        codes.add("POSTURE_UNKNOWN")

    # Organisation devices, where the EDR is managed or not known to be unmanaged.
    if not f.is_private and f.edr_running != "not_managed":
        if f.edr_risk == "high":
            codes.add("EDR_RISK_HIGH")
        if f.edr_risk == "unknown":
            codes.add("POSTURE_UNKNOWN")

    # Section 9: where disaster mode applies nothing else of group 5 is judged.
    if f.disaster_applies:
        return codes

    if f.state == "quarantined":
        codes.add("DEVICE_QUARANTINED")

    if f.is_private:
        if f.screen_lock is not True:
            codes.add("POSTURE_UNKNOWN")
    else:
        codes |= posture_of_organisation_device(f)

    codes |= age_of_posture(f)
    return codes


def posture_of_organisation_device(f: Facts) -> set[str]:
    codes: set[str] = set()

    if f.certificate is not True:
        codes.add("CERTIFICATE_MISSING")

    if f.edr_running is False:
        codes.add("EDR_NOT_RUNNING")
    if f.edr_running == "unknown":
        codes.add("POSTURE_UNKNOWN")
    if f.edr_running == "not_managed":
        excepted = f.device_class == "section_pc" and f.in_office and f.group == "communication"
        if not excepted:
            codes.add("EDR_NOT_RUNNING")

    # Not true: outside deny; in the office `communication` with a warning, deny the rest.
    if f.disk_encrypted is not True and not (f.in_office and f.group == "communication"):
        codes.add("DISK_NOT_ENCRYPTED")

    if f.patch_age_days is None:
        codes.add("POSTURE_UNKNOWN")
    elif f.patch_age_days > PATCH_DENY_DAYS:
        codes.add("PATCH_OVERDUE_DENY")

    return codes


def age_of_posture(f: Facts) -> set[str]:
    """Staleness and an unavailable source, on any class."""
    codes: set[str] = set()

    if f.returned_from_outside:
        # Section 9: the age is then not judged.
        codes.add("POSTURE_STALE")
    elif f.age_hours is None:
        codes.add("POSTURE_UNKNOWN")
    elif f.age_hours > POSTURE_STALE_HOURS:
        codes.add("POSTURE_STALE")

    if f.posture_source == "unavailable":
        if f.group in ("server_admin", "account_admin"):
            codes.add("POSTURE_UNAVAILABLE")
        # The last posture is used while it is younger than `posture_degraded_hours`.
        # READING: one that is not known to be younger is not used; the code joins `POSTURE_STALE` or `POSTURE_UNKNOWN`.
        if not f.returned_from_outside and (f.age_hours is None or f.age_hours >= POSTURE_DEGRADED_HOURS):
            codes.add("POSTURE_UNAVAILABLE")

    return codes


# --- Groups 6 and 7: authentication strength and context ----------------------------------------------------------


def context(f: Facts) -> set[str]:
    """The codes of group 7 that deny. Those that ask for a level stand in `step_up_causes`."""
    codes: set[str] = set()

    if "malware_alert" in f.risk:
        codes.add("MALWARE_ALERT")

    # Section 9: where disaster mode applies, of group 7 only `MALWARE_ALERT` is judged.
    if f.disaster_applies:
        return codes

    if "impossible_travel" in f.risk:
        codes.add("IMPOSSIBLE_TRAVEL")
    if "impersonation" in f.risk:
        codes.add("IMPERSONATION")

    if not f.in_office:
        if f.path_encrypted is not True:
            codes.add("PATH_NOT_PROTECTED")
        # "unknown" is not a country of the list.
        if f.country not in ALLOWED_COUNTRIES:
            codes.add("COUNTRY_NOT_ALLOWED")

    return codes


def step_up_causes(f: Facts, cell: Cell) -> list[tuple[str, int]]:
    """Each cause with the level that it asks for, in the order of section 5, whether or not the subject has it."""
    causes = [("STEPUP_AUTH_STRENGTH", cell.level)]

    # Section 9: where disaster mode applies no cause asks for more than level 2. The cells that it can meet ask for 2,
    # and the other causes belong to what is not judged then.
    if f.disaster_applies:
        return [("STEPUP_AUTH_STRENGTH", 2)]

    # Causes of group 5, which is not judged on `remediation`.
    if f.group != "remediation":
        if "PATCH_OVERDUE_WARN" in warnings(f) and f.group in ("business", "data", "lgwan", "no_code"):
            causes.append(("PATCH_OVERDUE_WARN", min(cell.level + 1, 3)))
        if not f.is_private and f.edr_running != "not_managed" and f.edr_risk == "medium":
            causes.append(("EDR_RISK_MEDIUM", 3))
        if f.posture_source == "unavailable" and f.group != "communication":
            causes.append(("POSTURE_UNAVAILABLE", 3))

    # Causes of group 7.
    if not f.in_office and f.underlay in ("public_wifi", "unknown") and f.group != "communication":
        causes.append(("UNTRUSTED_NETWORK", min(cell.level + 1, 3)))
    if "bulk_download" in f.risk:
        causes.append(("UNUSUAL_USE", 3))

    return causes


# --- Section 5: how reasons and obligations compose ---------------------------------------------------------------


def warnings(f: Facts) -> list[str]:
    """The warnings of an answer that group 5 does not deny, in the order of section 5."""
    found: list[str] = []
    # No patch or encryption is asked of private devices; group 5 is not judged on `remediation`; section 9: there are
    # no warnings where disaster mode applies.
    if f.is_private or f.group == "remediation" or f.disaster_applies:
        return found
    if f.patch_age_days is not None and f.patch_age_days > PATCH_WARN_DAYS:
        found.append("PATCH_OVERDUE_WARN")
    if f.disk_encrypted is not True and f.in_office and f.group == "communication":
        found.append("DISK_NOT_ENCRYPTED_WARN")
    return found


def primary_code(f: Facts, cell: Cell) -> str:
    """The first that applies, for an answer that nothing denies (sections 5 and 9)."""
    if f.kind == "emergency_account":
        return "BREAK_GLASS"
    if f.disaster_applies:
        return "OK_DISASTER"
    if cell.work_permit:
        # Nothing denied, so the permit is valid.
        return "OK_MAINTENANCE"
    if f.identity_source == "federated":
        return "OK_FEDERATED"
    if f.is_private and f.group == "communication":
        return "OK_BYOD_COMMUNICATION"
    if cell.screen_transfer:
        return "OK_SCREEN_TRANSFER"
    # READING: only for the `legacy` group; another group's `readonly` system that is read has its ordinary code.
    if f.group == "legacy" and f.status == "readonly":
        return "LEGACY_READONLY"
    if f.device_class == "mobile_pc":
        return "OK_LOAN"
    if f.device_class == "section_pc" and f.shared:
        return "OK_SHARED_TERMINAL"
    # A subject without a department shares none with the resource, and was denied in group 4.
    if f.resource_departments and f.departments[0] not in f.resource_departments:
        return "OK_CONCURRENT_POST"
    if not f.in_office:
        return "OK_REMOTE"
    return "OK"


def in_table_order(codes: Iterable[str]) -> list[str]:
    return sorted(codes, key=ALL_CODES.index)


def deny(codes: set[str], f: Facts | None) -> dict[str, object]:
    """A deny carries every code of the deciding group, and only the obligations that those codes bring."""
    obligations: dict[str, object] = {}
    if codes & {"DEVICE_LOST", "IMPOSSIBLE_TRAVEL", "IMPERSONATION", "MALWARE_ALERT"}:
        obligations["terminate_sessions"] = "on"
    if "DEVICE_LOST" in codes:
        obligations["wipe"] = "request"
    # Section 9: with `edr_running` false and `edr_risk` high; a terminal that never had an EDR is not quarantined.
    # READING: where group 5 decides. An earlier group's deny, or `remediation`, does not look at the EDR.
    if f is not None and "EDR_NOT_RUNNING" in codes and f.edr_running is False:
        obligations["quarantine"] = "on"
    if "EDR_RISK_HIGH" in codes:
        obligations["quarantine"] = "on"
    return {"outcome": "deny", "reasons": in_table_order(codes), "obligations": obligations}


def step_up(unmet: list[tuple[str, int]]) -> dict[str, object]:
    # READING: a step-up is a deny until the level is reached, so it carries no obligations, `warn` included.
    return {
        "outcome": "step_up",
        "reasons": [code for code, _ in unmet],
        "obligations": {},
        "required_auth_level": max(level for _, level in unmet),
    }


def allow_or_limit(f: Facts, cell: Cell) -> dict[str, object]:
    obligations = limits_of_the_place(f, cell)
    # The answer is `limit` when any obligation but `warn` applies.
    outcome = "limit" if obligations else "allow"

    reasons = [primary_code(f, cell), *warnings(f)]
    if warnings(f):
        obligations["warn"] = warnings(f)[0]
    # READING: business hours are hours of a business day, so both facts are asked.
    if not (f.business_day and f.business_hours):
        reasons.append("OK_AFTER_HOURS")
    return {"outcome": outcome, "reasons": reasons, "obligations": obligations}


def judge(document: object) -> dict[str, object]:
    """The answer to one parsed JSON value: `outcome`, `reasons`, `obligations`, and for a step-up the level it asks."""
    if not is_input_document(document):
        return deny({"BAD_INPUT"}, None)
    f = facts_of(document)

    # Section 3: the first group that denies decides.
    codes = ended_or_disabled(f)
    if codes:
        return deny(codes, f)
    codes = separation(f)
    if codes:
        return deny(codes, f)
    codes = device_against_resource(f)
    if codes:
        return deny(codes, f)
    cell = cell_of(f)
    assert cell is not None  # group 3 denies every ×
    codes = permits_and_windows(f, cell)
    if codes:
        return deny(codes, f)
    codes = posture(f)
    if codes:
        return deny(codes, f)
    codes = context(f)
    if codes:
        return deny(codes, f)

    # Section 5: a step-up is answered only where no group denies, with every cause whose own level is not met.
    unmet = [(code, level) for code, level in step_up_causes(f, cell) if level > f.auth_level]
    if unmet:
        return step_up(unmet)
    return allow_or_limit(f, cell)
