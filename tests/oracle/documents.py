"""Documents to judge: allowed ones for every cell of the matrix, random ones around them, and malformed ones.

Everything random takes a `random.Random`, so that a failing document can be made again from its seed.
"""

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

from . import access_rules

Document = dict[str, Any]
Path = tuple[str, ...]

# The closed enumerations of section 2, by dotted path.
ENUMERATIONS = access_rules.ENUMERATIONS

PRIVATE_CLASSES = ("byod_phone", "byod_tablet", "byod_pc")
OUTSIDE_ZONES = ("sase", "ip_vpn", "carrier", "security_cloud", "public")
ALL_PEP_WORDS = ("clipboard", "print", "save", "download", "browser_only", "record_session")
PERMIT_END = "2023-08-07T02:00:00+09:00"

# (class, place) of section 4, where place is "office" or "outside", and the groups whose cell is not ×.
_PC = ("communication", "no_code", "internet", "business", "data", "lgwan", "disaster", "remediation")
_FEASIBLE: dict[tuple[str, str], tuple[str, ...]] = {
    ("managed_pc", "office"): (*_PC, "server_admin", "account_admin", "legacy"),
    ("managed_pc", "outside"): (*_PC, "server_admin"),
    ("section_pc", "office"): (*_PC, "legacy"),
    ("mobile_pc", "office"): (*_PC, "legacy"),
    ("mobile_pc", "outside"): (*_PC, "legacy"),
    ("byod_phone", "office"): ("communication",),
    ("byod_phone", "outside"): ("communication",),
    ("byod_tablet", "office"): ("communication", "home_working"),
    ("byod_tablet", "outside"): ("communication", "home_working"),
    ("byod_pc", "office"): ("communication", "home_working"),
    ("byod_pc", "outside"): ("communication", "home_working"),
    ("maintenance_pc", "outside"): ("server_admin",),
    ("municipal_pc", "office"): ("data",),
    ("municipal_pc", "outside"): ("data",),
    ("mynumber_terminal", "office"): ("mynumber",),
}
# Every (class, group, place) that the matrix does not answer with ×.
FEASIBLE_CELLS: tuple[tuple[str, str, str], ...] = tuple(
    (device_class, group, place) for (device_class, place), groups in _FEASIBLE.items() for group in groups
)

_SEGMENT_OF_GROUP = {
    "communication": "cloud",
    "no_code": "cloud",
    "data": "cloud",
    "lgwan": "lgwan",
    "legacy": "lgwan",
    "mynumber": "mynumber",
    "unknown": "unknown",
}


def healthy(
    device_class: str = "managed_pc",
    group: str = "communication",
    *,
    place: str = "office",
    status: str = "in_service",
    segment: str | None = None,
) -> Document:
    """A document that the rules allow or limit, at auth level 3, in office hours, with every fact known and good.

    `place` is "office" or "outside". For a cell that is × the document is as good as it can be, and is denied.
    """
    in_office = place == "office"
    private = device_class in PRIVATE_CLASSES
    segment = segment or _SEGMENT_OF_GROUP.get(group, "internet")
    screen_transfer = group in ("lgwan", "home_working") or (group == "business" and segment == "lgwan")
    names_department = device_class == "section_pc" and group in ("business", "lgwan")
    works_with_permit = group == "server_admin" and not (device_class == "managed_pc" and in_office)
    municipal = device_class == "municipal_pc"
    contractor = device_class == "maintenance_pc"

    zone = "office" if in_office else "sase"
    if municipal and not in_office:
        zone = "security_cloud"
    if contractor and not in_office:
        zone = "ip_vpn"

    relation = "own"
    if device_class in ("section_pc", "mynumber_terminal", "mobile_pc"):
        relation = "pool"

    action = "access"
    if screen_transfer:
        action = "screen_transfer"
    if status == "readonly":
        action = "read"

    kind = "staff"
    if municipal:
        kind = "municipal_staff"
    if contractor:
        kind = "contractor"
    organisation = "tsu" if municipal else "vendor-a" if contractor else "mie"

    return {
        "schema": "pdp.input/v1",
        "subject": {
            "id": "u-0001",
            "kind": kind,
            "organisation": organisation,
            "departments": ["soumu"],
            "roles": ["data_user", "server_admin", "account_admin"],
            "employment": "active",
            "identity_source": "federated" if municipal or contractor else "integrated",
            "auth_level": 3,
            "auth_age_min": 12,
        },
        "device": {
            "id": "d-00001",
            "class": device_class,
            "ownership": "private" if private else "unknown" if device_class == "unknown" else "organisation",
            "registered": True,
            "shared": device_class == "section_pc",
            "relation": relation,
            "loan": "valid" if device_class == "mobile_pc" else "none",
            "permit": "valid" if private else "none",
            "takeout": "permitted" if device_class in ("managed_pc", "mobile_pc") else "not_permitted",
            "state": "in_service",
            "returned_from_outside": False,
            "posture": {
                "certificate": "unknown" if private else True,
                "disk_encrypted": "unknown" if private else True,
                "edr_running": "unknown" if private else True,
                "edr_risk": "unknown" if private else "none",
                "av_current": "unknown" if private else True,
                "firewall": "unknown" if private else True,
                "screen_lock": True,
                "tampered": False,
                "patch_age_days": "unknown" if private else 3,
                "age_hours": 1,
                "source": "mdm" if private else "asset",
            },
        },
        "resource": {
            "id": "a-resource",
            "group": group,
            "segment": segment,
            "status": status,
            "departments": ["soumu"] if names_department else [],
            "organisations": [organisation] if municipal else ["mie"],
            "sensitivity": 2,
            "tenant": "own",
        },
        "action": {"name": action},
        "context": {
            "zone": zone,
            "underlay": "office" if in_office else "home",
            "path_encrypted": True,
            "country": "JP",
            "business_day": True,
            "business_hours": True,
            "risk": [],
            "work_permit": "valid" if works_with_permit else "none",
            "work_permit_until": PERMIT_END if works_with_permit else "none",
            "disaster_mode": False,
            "sources": {"posture": "ok", "identity": "ok"},
            "pep": list(ALL_PEP_WORDS),
        },
    }


# --- Paths --------------------------------------------------------------------------------------------------------

_UNKNOWABLE: tuple[Path, ...] = (
    ("subject", "kind"),
    ("device", "class"),
    ("device", "ownership"),
    ("device", "takeout"),
    ("device", "posture", "certificate"),
    ("device", "posture", "disk_encrypted"),
    ("device", "posture", "edr_running"),
    ("device", "posture", "edr_risk"),
    ("device", "posture", "av_current"),
    ("device", "posture", "firewall"),
    ("device", "posture", "screen_lock"),
    ("device", "posture", "tampered"),
    ("device", "posture", "patch_age_days"),
    ("device", "posture", "age_hours"),
    ("device", "posture", "source"),
    ("resource", "group"),
    ("resource", "segment"),
    ("context", "underlay"),
    ("context", "path_encrypted"),
    ("context", "country"),
)


def unknowable_paths(doc: Document) -> list[Path]:
    """The facts that may be "unknown" in this document (section 2): `segment` only where the group is."""
    group_is_known = doc["resource"]["group"] != "unknown"
    return [path for path in _UNKNOWABLE if not (path == ("resource", "segment") and group_is_known)]


def all_fact_paths(doc: Document) -> list[Path]:
    """The path of every fact, the schema included. A list is one fact."""
    found: list[Path] = []

    def walk(part: object, path: Path) -> None:
        if isinstance(part, dict):
            for key, inner in part.items():
                walk(inner, (*path, key))
        else:
            found.append(path)

    walk(doc, ())
    return found


def value_at(doc: Document, path: Path) -> Any:
    part: Any = doc
    for key in path:
        part = part[key]
    return part


def set_at(doc: Document, path: Path, value: object) -> None:
    """Changes `doc` in place."""
    value_at(doc, path[:-1])[path[-1]] = value


def with_value(doc: Document, path: Path, value: object) -> Document:
    """A copy of `doc` with one fact changed."""
    changed = copy.deepcopy(doc)
    set_at(changed, path, value)
    return changed


def without(doc: Document, path: Path) -> Document:
    """A copy of `doc` with one key dropped."""
    changed = copy.deepcopy(doc)
    del value_at(changed, path[:-1])[path[-1]]
    return changed


# --- Random documents ---------------------------------------------------------------------------------------------

_TRUTH = (True, False)
_TRUTH_OR_UNKNOWN = (True, False, "unknown")

# For each fact that is not a closed enumeration: values at, and beside, every boundary that a rule knows.
_OPEN_VALUES: dict[Path, tuple[Any, ...]] = {
    ("subject", "id"): ("u-0001", "u-0002"),
    ("subject", "organisation"): ("mie", "tsu", "vendor-a", "unknown"),
    ("subject", "departments"): ([], ["soumu"], ["kankyo"], ["kankyo", "soumu"], ["soumu", "kankyo"]),
    ("subject", "roles"): (
        [],
        ["data_user"],
        ["server_admin"],
        ["account_admin"],
        ["disaster_response"],
        ["disaster_response", "data_user", "server_admin", "account_admin"],
        ["a-role-of-nobody"],
    ),
    ("subject", "auth_level"): (0, 1, 2, 3),
    ("subject", "auth_age_min"): (0, 12, 1440),
    ("device", "id"): ("d-00001", "d-00002"),
    ("device", "registered"): _TRUTH,
    ("device", "shared"): _TRUTH,
    ("device", "returned_from_outside"): _TRUTH,
    ("device", "posture", "certificate"): _TRUTH_OR_UNKNOWN,
    ("device", "posture", "disk_encrypted"): _TRUTH_OR_UNKNOWN,
    ("device", "posture", "edr_running"): (*_TRUTH_OR_UNKNOWN, "not_managed"),
    ("device", "posture", "av_current"): _TRUTH_OR_UNKNOWN,
    ("device", "posture", "firewall"): _TRUTH_OR_UNKNOWN,
    ("device", "posture", "screen_lock"): _TRUTH_OR_UNKNOWN,
    ("device", "posture", "tampered"): _TRUTH_OR_UNKNOWN,
    ("device", "posture", "patch_age_days"): (0, 14, 15, 20, 30, 31, 45, "unknown"),
    ("device", "posture", "age_hours"): (0, 1, 23, 24, 25, 240, "unknown"),
    ("device", "posture", "source"): ("asset", "mdm", "unknown"),
    ("resource", "id"): ("a-resource", "another-resource"),
    ("resource", "departments"): ([], ["soumu"], ["kankyo"], ["kankyo", "soumu"], ["bousai"]),
    ("resource", "organisations"): ([], ["mie"], ["tsu"], ["tsu", "mie"]),
    ("resource", "sensitivity"): (0, 1, 2, 3),
    ("context", "path_encrypted"): _TRUTH_OR_UNKNOWN,
    ("context", "country"): ("JP", "US", "unknown"),
    ("context", "business_day"): _TRUTH,
    ("context", "business_hours"): _TRUTH,
    ("context", "risk"): (
        [],
        ["bulk_download"],
        ["impossible_travel"],
        ["impersonation"],
        ["malware_alert"],
        ["malware_alert", "bulk_download", "impossible_travel", "impersonation"],
    ),
    ("context", "work_permit_until"): ("none", PERMIT_END, "2023-08-06T17:00:00Z"),
    ("context", "disaster_mode"): _TRUTH,
    ("context", "pep"): (
        [],
        ["clipboard", "save"],
        ["clipboard", "print", "save"],
        ["browser_only"],
        ["record_session"],
        ["clipboard", "print", "save", "download", "browser_only"],
        ["a-word-of-nobody", *ALL_PEP_WORDS],
    ),
}


# No rule reads these: they are changed now and then, and nothing must come of it. The schema is never changed.
_SELDOM_CHANGED: frozenset[Path] = frozenset(
    {
        ("subject", "id"),
        ("subject", "auth_age_min"),
        ("device", "id"),
        ("device", "ownership"),
        ("device", "posture", "av_current"),
        ("device", "posture", "firewall"),
        ("device", "posture", "source"),
        ("resource", "id"),
        ("resource", "sensitivity"),
        ("context", "sources", "identity"),
    }
)
_FEASIBLE_GROUPS = tuple(dict.fromkeys(group for _, group, _ in FEASIBLE_CELLS))


def values_of(path: Path) -> Sequence[Any]:
    """The values to try for one fact: its closed enumeration, or its boundary values."""
    if path in _OPEN_VALUES:
        return _OPEN_VALUES[path]
    return ENUMERATIONS[".".join(path)]


def random_document(rng: random.Random) -> Document:
    """A valid document. Most are an allowed one with a few facts changed; one in twenty is random in every fact."""
    group = rng.choice(_FEASIBLE_GROUPS)
    device_class, _, place = rng.choice([cell for cell in FEASIBLE_CELLS if cell[1] == group])
    doc = _random_allowed_document(rng, device_class, group, place)

    if rng.random() < 0.05:
        chosen = [path for path in all_fact_paths(doc) if path != ("schema",)]
    else:
        chosen = [_random_path(rng, doc) for _ in range(rng.randint(0, 5))]
    for path in chosen:
        set_at(doc, path, copy.deepcopy(rng.choice(values_of(path))))

    _keep_valid(doc)
    return doc


def _random_path(rng: random.Random, doc: Document) -> Path:
    """A fact to change; a third of the time one that is read only in a few cells, and would seldom be met there."""
    if rng.random() < 0.33:
        if doc["device"]["posture"]["edr_running"] == "not_managed":
            return rng.choice((("context", "pep"), ("device", "posture", "edr_running")))
        if doc["context"]["work_permit"] != "none":
            return ("context", "work_permit")
        if doc["resource"]["group"] == "communication" and doc["context"]["zone"] == "office":
            return ("device", "posture", "disk_encrypted")
        if doc["device"]["class"] == "municipal_pc":
            return rng.choice((("resource", "organisations"), ("subject", "identity_source")))
    paths = [path for path in all_fact_paths(doc) if path != ("schema",)]
    return rng.choice([path for path in paths if path not in _SELDOM_CHANGED or rng.random() < 0.1])


def _random_allowed_document(rng: random.Random, device_class: str, group: str, place: str) -> Document:
    status = "in_service"
    if (group == "legacy" and (device_class, place) == ("managed_pc", "office") and rng.random() < 0.5) or (
        group not in ("legacy", "lgwan", "home_working") and rng.random() < 0.05
    ):
        status = "readonly"
    # Before and after the cut-over of section 1; a `readonly` system of the old segment is never allowed.
    before_cut_over = group == "business" and status == "in_service" and rng.random() < 0.5
    segment = "lgwan" if before_cut_over else None
    doc = healthy(device_class, group, place=place, status=status, segment=segment)

    if place == "outside" and device_class not in ("maintenance_pc", "municipal_pc"):
        doc["context"]["zone"] = rng.choice(OUTSIDE_ZONES)
    if doc["subject"]["kind"] == "staff":
        doc["subject"]["kind"] = rng.choice(("staff", "staff", "staff", "fixed_term_staff", "emergency_account"))
    if device_class == "section_pc":
        doc["device"]["shared"] = rng.random() < 0.5
    # The auth level alone never denies: let every level stand on every document.
    doc["subject"]["auth_level"] = rng.choice((0, 1, 2, 2, 3, 3, 3))
    if rng.random() < 0.2:
        doc["resource"]["departments"] = ["soumu"]
        doc["subject"]["departments"] = ["kankyo", "soumu"]
    if group in ("communication", "disaster") and rng.random() < 0.3:
        doc["subject"]["kind"] = "staff"
        doc["subject"]["roles"].append("disaster_response")
        doc["context"]["disaster_mode"] = True
    if device_class == "section_pc" and group == "communication" and rng.random() < 0.3:
        doc["device"]["posture"]["edr_running"] = "not_managed"
    return doc


def _keep_valid(doc: Document) -> None:
    """Section 2: two facts lean on others."""
    if doc["resource"]["segment"] == "unknown" and doc["resource"]["group"] != "unknown":
        doc["resource"]["segment"] = "lgwan"
    if doc["context"]["work_permit"] == "valid" and doc["context"]["work_permit_until"] == "none":
        doc["context"]["work_permit_until"] = PERMIT_END


def shuffle_lists(doc: Document, rng: random.Random) -> Document:
    """A copy whose lists stand in another order, but for `subject.departments`, whose first is the main post."""
    shuffled = copy.deepcopy(doc)
    for path in all_fact_paths(shuffled):
        value = value_at(shuffled, path)
        if isinstance(value, list) and path != ("subject", "departments"):
            rng.shuffle(value)
    return shuffled


# --- Malformed documents ------------------------------------------------------------------------------------------


def _pick(rng: random.Random, doc: Document, wanted: Callable[[object], bool]) -> Path:
    return rng.choice([path for path in all_fact_paths(doc) if wanted(value_at(doc, path))])


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


_SECTIONS: tuple[Path, ...] = (
    ("subject",),
    ("device",),
    ("device", "posture"),
    ("resource",),
    ("action",),
    ("context",),
    ("context", "sources"),
)


def _missing_key(rng: random.Random, doc: Document) -> object:
    return without(doc, rng.choice(all_fact_paths(doc)))


def _missing_section(rng: random.Random, doc: Document) -> object:
    return without(doc, rng.choice(_SECTIONS))


def _extra_key(rng: random.Random, doc: Document) -> object:
    value_at(doc, rng.choice(((), *_SECTIONS)))["an_extra_key"] = rng.choice((None, True, "x", 0))
    return doc


def _null(rng: random.Random, doc: Document) -> object:
    return with_value(doc, rng.choice(all_fact_paths(doc)), None)


def _null_section(rng: random.Random, doc: Document) -> object:
    return with_value(doc, rng.choice(_SECTIONS), rng.choice((None, [], "unknown", 0)))


def _object_for_a_fact(rng: random.Random, doc: Document) -> object:
    return with_value(doc, rng.choice(all_fact_paths(doc)), {"value": "unknown"})


def _unlisted_value(rng: random.Random, doc: Document) -> object:
    closed = [path for path in all_fact_paths(doc) if ".".join(path) in ENUMERATIONS and path != ("context", "risk")]
    return with_value(doc, rng.choice(closed), rng.choice(("an-unlisted-value", "", "Office", "IN_SERVICE", "none ")))


def _unlisted_risk(_rng: random.Random, doc: Document) -> object:
    doc["context"]["risk"].append("an-unlisted-risk")
    return doc


def _unknown_where_it_is_not_listed(rng: random.Random, doc: Document) -> object:
    open_words = {("subject", "id"), ("subject", "organisation"), ("device", "id"), ("resource", "id")}
    open_words.add(("context", "disaster_mode"))  # counts only when it is true
    known = [path for path in all_fact_paths(doc) if path not in _UNKNOWABLE and path not in open_words]
    return with_value(doc, rng.choice(known), "unknown")


def _unknown_segment_of_a_known_group(_rng: random.Random, doc: Document) -> object:
    doc["resource"]["group"] = "data"
    doc["resource"]["segment"] = "unknown"
    return doc


def _text_for_bool(rng: random.Random, doc: Document) -> object:
    return with_value(doc, _pick(rng, doc, _is_bool), rng.choice(("true", "false", "yes")))


def _int_for_bool(rng: random.Random, doc: Document) -> object:
    return with_value(doc, _pick(rng, doc, _is_bool), rng.choice((0, 1)))


def _bool_for_int(rng: random.Random, doc: Document) -> object:
    return with_value(doc, _pick(rng, doc, _is_int), rng.choice((True, False)))


def _float_for_int(rng: random.Random, doc: Document) -> object:
    path = _pick(rng, doc, _is_int)
    return with_value(doc, path, value_at(doc, path) + 0.5)


def _text_for_int(rng: random.Random, doc: Document) -> object:
    path = _pick(rng, doc, _is_int)
    return with_value(doc, path, str(value_at(doc, path)))


def _negative_age(rng: random.Random, doc: Document) -> object:
    ages: tuple[Path, ...] = (("device", "posture", "age_hours"), ("device", "posture", "patch_age_days"))
    return with_value(doc, rng.choice(ages), -1)


def _number_out_of_range(rng: random.Random, doc: Document) -> object:
    wrong: tuple[tuple[Path, int], ...] = (
        (("subject", "auth_level"), -1),
        (("subject", "auth_level"), 4),
        (("subject", "auth_age_min"), -1),
        (("subject", "auth_age_min"), 1441),
    )
    return with_value(doc, *rng.choice(wrong))


def _text_for_list(rng: random.Random, doc: Document) -> object:
    return with_value(doc, _pick(rng, doc, _is_list), rng.choice(("soumu", "", "record_session")))


def _list_with_something_else(rng: random.Random, doc: Document) -> object:
    value_at(doc, _pick(rng, doc, _is_list)).append(rng.choice((None, 1, True, ["soumu"], {})))
    return doc


def _number_for_text(rng: random.Random, doc: Document) -> object:
    return with_value(doc, _pick(rng, doc, lambda value: isinstance(value, str)), rng.choice((1.5, -1)))


def _list_for_text(rng: random.Random, doc: Document) -> object:
    path = _pick(rng, doc, lambda value: isinstance(value, str))
    return with_value(doc, path, [value_at(doc, path)])


def _wrong_schema(rng: random.Random, doc: Document) -> object:
    return with_value(doc, ("schema",), rng.choice(("pdp.input/v2", "pdp.input", "", "PDP.INPUT/V1")))


def _wrong_time(rng: random.Random, doc: Document) -> object:
    wrong = ("", "2023-08-07", "2023-08-07T02:00:00", "2023-02-30T02:00:00+09:00", "2023-08-07 02:00:00+09:00", "soon")
    return with_value(doc, ("context", "work_permit_until"), rng.choice(wrong))


def _not_an_object(rng: random.Random, _doc: Document) -> object:
    return rng.choice((None, True, 0, 1.5, "", "pdp.input/v1", [], [{}], {}))


# Each way to spoil a document.
MALFORMATIONS: dict[str, Callable[[random.Random, Document], object]] = {
    "missing_key": _missing_key,
    "missing_section": _missing_section,
    "extra_key": _extra_key,
    "null": _null,
    "null_section": _null_section,
    "object_for_a_fact": _object_for_a_fact,
    "unlisted_value": _unlisted_value,
    "unlisted_risk": _unlisted_risk,
    "unknown_where_it_is_not_listed": _unknown_where_it_is_not_listed,
    "unknown_segment_of_a_known_group": _unknown_segment_of_a_known_group,
    "text_for_bool": _text_for_bool,
    "int_for_bool": _int_for_bool,
    "bool_for_int": _bool_for_int,
    "float_for_int": _float_for_int,
    "text_for_int": _text_for_int,
    "negative_age": _negative_age,
    "number_out_of_range": _number_out_of_range,
    "text_for_list": _text_for_list,
    "list_with_something_else": _list_with_something_else,
    "number_for_text": _number_for_text,
    "list_for_text": _list_for_text,
    "wrong_schema": _wrong_schema,
    "wrong_time": _wrong_time,
    "not_an_object": _not_an_object,
}


def malformed_document(rng: random.Random, kinds: Sequence[str] = tuple(MALFORMATIONS)) -> object:
    """A value that is no `pdp.input/v1` document, spoilt in one of the named ways."""
    return MALFORMATIONS[rng.choice(kinds)](rng, random_document(rng))
