"""The oracle judged by itself: hand-worked answers, reach, and the promises that the contract makes of every answer."""

import copy
import json
import random
from collections import Counter
from typing import Any

import pytest

from .access_rules import ALL_CODES, ALL_OBLIGATIONS, PRIMARY_CODES, SERVICE_CODES, judge
from .documents import (
    ENUMERATIONS,
    FEASIBLE_CELLS,
    MALFORMATIONS,
    Document,
    Path,
    all_fact_paths,
    healthy,
    malformed_document,
    random_document,
    set_at,
    shuffle_lists,
    unknowable_paths,
    value_at,
    with_value,
    without,
)

SEED = 20230801
MANY = 20_000
FEW = 4_000


def changed(doc: Document, **facts: object) -> Document:
    """`doc`, changed in place: facts named `section__key`, and `device__posture__key`."""
    for name, value in facts.items():
        set_at(doc, tuple(name.split("__")), value)
    return doc


def outcome(doc: object) -> object:
    return judge(doc)["outcome"]


def reasons(doc: object) -> object:
    return judge(doc)["reasons"]


def denied(*codes: str, **obligations: object) -> dict[str, object]:
    return {"outcome": "deny", "reasons": list(codes), "obligations": obligations}


def asked(level: int, *codes: str) -> dict[str, object]:
    return {"outcome": "step_up", "reasons": list(codes), "obligations": {}, "required_auth_level": level}


def allowed(*codes: str, **obligations: object) -> dict[str, object]:
    return {"outcome": "allow", "reasons": list(codes), "obligations": obligations}


def limited(*codes: str, **obligations: object) -> dict[str, object]:
    return {"outcome": "limit", "reasons": list(codes), "obligations": obligations}


# --- Reach and general promises -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("device_class", "group", "place"), FEASIBLE_CELLS)
def test_a_healthy_document_passes_in_every_cell_that_is_not_crossed_out(
    device_class: str, group: str, place: str
) -> None:
    answer = judge(healthy(device_class, group, place=place))
    assert answer["outcome"] in ("allow", "limit"), answer


def test_every_class_group_and_place_that_is_not_listed_as_feasible_is_denied() -> None:
    for device_class in ENUMERATIONS["device.class"]:
        for group in ENUMERATIONS["resource.group"]:
            for place in ("office", "outside"):
                if (device_class, group, place) not in FEASIBLE_CELLS:
                    assert outcome(healthy(device_class, group, place=place)) == "deny", (device_class, group, place)


def test_random_documents_reach_every_code_and_every_obligation() -> None:
    rng = random.Random(SEED)
    codes: Counter[str] = Counter()
    obligations: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for _ in range(MANY):
        answer: Any = judge(random_document(rng))
        outcomes[answer["outcome"]] += 1
        codes.update(answer["reasons"])
        obligations.update(list(answer["obligations"]))
    for _ in range(100):
        malformed: Any = judge(malformed_document(rng))
        codes.update(malformed["reasons"])

    print(dict(outcomes))
    print(sorted((count, code) for code, count in codes.items()))
    print(sorted((count, word) for word, count in obligations.items()))
    assert set(codes) == set(ALL_CODES) - set(SERVICE_CODES)
    assert set(obligations) == set(ALL_OBLIGATIONS)
    # Useful probability: a differential test of a few thousand documents meets each of them several times.
    assert min(codes.values()) >= MANY // 2_000
    assert min(outcomes[word] for word in ("allow", "limit", "step_up", "deny")) >= MANY // 20


def test_random_documents_are_valid() -> None:
    rng = random.Random(SEED)
    for _ in range(FEW):
        assert reasons(random_document(rng)) != ["BAD_INPUT"]


@pytest.mark.parametrize("kind", MALFORMATIONS)
def test_a_malformed_document_is_bad_input_and_nothing_else(kind: str) -> None:
    rng = random.Random(SEED)
    for _ in range(200):
        doc = malformed_document(rng, [kind])
        assert judge(doc) == denied("BAD_INPUT"), doc


def outcomes_with_one_fact_unknown(doc: Document) -> dict[Path, object]:
    found: dict[Path, object] = {}
    for path in unknowable_paths(doc):
        known = value_at(doc, path)
        set_at(doc, path, "unknown")
        found[path] = outcome(doc)
        set_at(doc, path, known)
    return found


def test_unknowing_any_fact_never_turns_a_deny_into_something_else_nor_a_step_up_into_an_allow() -> None:
    rng = random.Random(SEED)
    for _ in range(FEW):
        doc = random_document(rng)
        before = outcome(doc)
        for path, after in outcomes_with_one_fact_unknown(doc).items():
            if before == "deny":
                assert after == "deny", (path, doc)
            if before == "step_up":
                assert after in ("deny", "step_up"), (path, doc)


def test_unknowing_several_facts_never_turns_a_deny_into_something_else() -> None:
    rng = random.Random(SEED)
    for _ in range(FEW):
        doc = random_document(rng)
        if outcome(doc) != "deny":
            continue
        poorer = copy.deepcopy(doc)
        paths = unknowable_paths(doc)
        for path in rng.sample(paths, rng.randint(2, len(paths))):
            set_at(poorer, path, "unknown")
        assert outcome(poorer) == "deny", (doc, poorer)


def test_dropping_any_fact_is_bad_input() -> None:
    rng = random.Random(SEED)
    for _ in range(100):
        doc = random_document(rng)
        for path in all_fact_paths(doc):
            assert judge(without(doc, path)) == denied("BAD_INPUT"), path


def test_the_order_of_lists_changes_nothing() -> None:
    rng = random.Random(SEED)
    for _ in range(FEW):
        doc = random_document(rng)
        assert judge(shuffle_lists(doc, rng)) == judge(doc)


def test_facts_that_no_rule_reads_change_nothing() -> None:
    unread: list[tuple[Path, object]] = [
        (("subject", "id"), "u-other"),
        (("device", "id"), "d-other"),
        (("resource", "id"), "r-other"),
        (("subject", "auth_age_min"), 1440),
        (("device", "ownership"), "unknown"),
        (("device", "posture", "av_current"), "unknown"),
        (("device", "posture", "firewall"), False),
        (("device", "posture", "source"), "unknown"),
        (("resource", "sensitivity"), 3),
        (("context", "sources", "identity"), "unavailable"),
    ]
    rng = random.Random(SEED)
    for _ in range(FEW):
        doc = random_document(rng)
        path, value = rng.choice(unread)
        assert judge(with_value(doc, path, value)) == judge(doc), path


def test_more_authentication_never_turns_an_answer_worse() -> None:
    rank = {"deny": 0, "step_up": 1, "allow": 2, "limit": 2}
    rng = random.Random(SEED)
    for _ in range(FEW):
        doc = random_document(rng)
        ranks = [rank[str(outcome(with_value(doc, ("subject", "auth_level"), level)))] for level in range(4)]
        assert ranks == sorted(ranks)
        # Level 3 always suffices, and the level that a step-up asks for is enough.
        assert outcome(with_value(doc, ("subject", "auth_level"), 3)) != "step_up"
        answer: Any = judge(doc)
        if answer["outcome"] == "step_up":
            reached = with_value(doc, ("subject", "auth_level"), answer["required_auth_level"])
            assert outcome(reached) in ("allow", "limit")
            short = with_value(doc, ("subject", "auth_level"), answer["required_auth_level"] - 1)
            assert outcome(short) == "step_up"


def test_an_allow_or_a_limit_names_exactly_one_primary_code_and_it_comes_first() -> None:
    rng = random.Random(SEED)
    for _ in range(FEW):
        answer: Any = judge(random_document(rng))
        primaries = [code for code in answer["reasons"] if code in PRIMARY_CODES]
        if answer["outcome"] in ("allow", "limit"):
            assert primaries == answer["reasons"][:1]
        else:
            assert primaries == []


def test_the_answer_is_limit_exactly_when_an_obligation_other_than_warn_applies() -> None:
    rng = random.Random(SEED)
    for _ in range(FEW):
        answer: Any = judge(random_document(rng))
        if answer["outcome"] in ("allow", "limit"):
            assert (answer["outcome"] == "limit") == bool(set(answer["obligations"]) - {"warn"})


def test_time_of_day_never_changes_the_outcome() -> None:
    rng = random.Random(SEED)
    for _ in range(FEW):
        doc = random_document(rng)
        day = changed(copy.deepcopy(doc), context__business_day=True, context__business_hours=True)
        night = changed(copy.deepcopy(doc), context__business_day=False, context__business_hours=False)
        assert outcome(day) == outcome(night)


def test_judging_changes_nothing_in_the_document() -> None:
    rng = random.Random(SEED)
    for _ in range(FEW):
        doc = random_document(rng)
        before = json.dumps(doc)
        judge(doc)
        assert json.dumps(doc) == before


# --- Group 1 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("staff", "ACCOUNT_EXPIRED"),
        ("municipal_staff", "ACCOUNT_EXPIRED"),
        ("emergency_account", "ACCOUNT_EXPIRED"),
        ("fixed_term_staff", "APPOINTMENT_ENDED"),
        ("contractor", "CONTRACT_ENDED"),
    ],
)
@pytest.mark.parametrize("employment", ["ended", "not_started"])
def test_an_employment_that_is_over_or_to_come_denies_by_the_kind_of_subject(
    kind: str, code: str, employment: str
) -> None:
    assert judge(changed(healthy(), subject__kind=kind, subject__employment=employment)) == denied(code)


def test_a_suspended_fixed_term_staff_is_suspended() -> None:
    doc = changed(healthy(), subject__kind="fixed_term_staff", subject__employment="suspended")
    assert judge(doc) == denied("ACCOUNT_SUSPENDED")


def test_every_reason_of_the_first_group_is_reported_in_the_order_of_the_table() -> None:
    doc = changed(
        healthy(),
        subject__kind="shared_account",
        subject__employment="ended",
        device__state="lost",
        resource__status="ended",
    )
    expected = denied(
        "ACCOUNT_EXPIRED",
        "SHARED_ACCOUNT",
        "DEVICE_LOST",
        "SERVICE_ENDED",
        terminate_sessions="on",
        wipe="request",
    )
    assert judge(doc) == expected


def test_employment_is_not_judged_where_no_identity_source_knows_the_user() -> None:
    doc = changed(healthy(), subject__identity_source="none", subject__employment="ended")
    assert judge(doc) == denied("IDENTITY_SOURCE_UNKNOWN")


def test_a_found_terminal_stays_denied_without_a_second_wipe() -> None:
    assert judge(changed(healthy(), device__state="lost_unconfirmed_found")) == denied("LOST_NOT_CLEARED")


def test_a_resource_nobody_knows_gives_one_code_even_when_it_has_ended() -> None:
    doc = changed(healthy(), resource__group="unknown", resource__segment="unknown", resource__status="ended")
    assert judge(doc) == denied("RESOURCE_UNKNOWN")


# --- Groups 2 and 3 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device_class", ["managed_pc", "byod_phone", "municipal_pc", "unknown"])
def test_the_my_number_layer_is_separated_before_the_matrix_is_read(device_class: str) -> None:
    doc = changed(healthy(device_class, "mynumber"), device__registered=False)
    assert judge(doc) == denied("SEGMENT_SEPARATED")


def test_a_my_number_terminal_outside_the_office_is_the_wrong_class() -> None:
    assert judge(healthy("mynumber_terminal", "mynumber", place="outside")) == denied("DEVICE_CLASS")


def test_a_my_number_terminal_reaches_nothing_else_not_even_patches() -> None:
    assert judge(healthy("mynumber_terminal", "remediation")) == denied("DEVICE_CLASS")


def test_an_unregistered_phone_is_unregistered_rather_than_out_of_scope() -> None:
    doc = changed(healthy("byod_phone", "business"), device__registered=False)
    assert judge(doc) == denied("DEVICE_UNREGISTERED")


def test_a_private_device_on_a_legacy_system_is_out_of_scope() -> None:
    assert judge(healthy("byod_pc", "legacy", status="readonly")) == denied("BYOD_SCOPE")


def test_a_private_phone_does_not_reach_the_home_working_system() -> None:
    assert judge(healthy("byod_phone", "home_working", place="outside")) == denied("BYOD_SCOPE")


def test_a_section_terminal_outside_is_a_matter_of_takeout_whatever_the_system() -> None:
    for group in ("communication", "server_admin", "legacy", "remediation"):
        doc = changed(healthy("section_pc", group, place="outside"), device__takeout="permitted")
        assert judge(doc) == denied("TAKEOUT_NOT_ALLOWED"), group


def test_a_managed_terminal_whose_takeout_is_not_known_stays_inside() -> None:
    doc = healthy("managed_pc", "communication", place="outside")
    assert judge(changed(doc, device__takeout="unknown")) == denied("TAKEOUT_NOT_ALLOWED")


def test_a_business_system_before_its_move_is_reached_by_screen_transfer_from_outside_too() -> None:
    doc = healthy("managed_pc", "business", place="outside", segment="lgwan")
    limits = {"clipboard": "off", "print": "off", "save": "off", "screen_transfer_only": "on"}
    assert judge(doc) == limited("OK_SCREEN_TRANSFER", **limits)
    assert judge(changed(doc, action__name="read")) == denied("SEGMENT_NOT_YET_MOVED")


def test_a_maintenance_terminal_off_its_vpn_is_the_wrong_class() -> None:
    doc = changed(healthy("maintenance_pc", "server_admin", place="outside"), context__zone="sase")
    assert judge(doc) == denied("DEVICE_CLASS")


# --- Group 4 ------------------------------------------------------------------------------------------------------


def test_permit_tenant_and_enforcement_are_reported_together() -> None:
    doc = changed(
        healthy("byod_phone", "communication", place="outside"),
        device__permit="held",
        device__relation="assigned_to_other",
        resource__tenant="other",
        context__pep=["clipboard"],
    )
    assert judge(doc) == denied("PERMIT_HELD", "DEVICE_OF_OTHER_USER", "TENANT_NOT_ALLOWED", "PEP_CANNOT_ENFORCE")


@pytest.mark.parametrize("relation", ["assigned_to_other", "pool", "none"])
def test_a_personal_terminal_that_is_not_ones_own_is_anothers(relation: str) -> None:
    assert judge(changed(healthy(), device__relation=relation)) == denied("DEVICE_OF_OTHER_USER")


def test_a_section_terminal_needs_a_department_on_business_systems() -> None:
    doc = changed(healthy("section_pc", "business"), resource__departments=[])
    assert judge(doc) == denied("NOT_IN_SECTION")


def test_departments_that_a_resource_names_bind_a_managed_terminal_too() -> None:
    doc = changed(healthy("managed_pc", "communication"), resource__departments=["kankyo"])
    assert judge(doc) == denied("NOT_IN_SECTION")


def test_a_screen_transfer_system_that_is_read_only_has_no_action_left() -> None:
    doc = healthy("managed_pc", "lgwan", status="readonly")
    assert judge(changed(doc, action__name="read")) == denied("SCREEN_TRANSFER_REQUIRED")
    assert judge(changed(doc, action__name="screen_transfer")) == denied("READ_ONLY")
    assert judge(changed(doc, action__name="write")) == denied("SCREEN_TRANSFER_REQUIRED", "READ_ONLY")


def test_recording_is_asked_before_the_work_permit_is_looked_at() -> None:
    doc = changed(
        healthy("maintenance_pc", "server_admin", place="outside"),
        context__work_permit="out_of_scope",
        context__pep=[],
    )
    assert judge(doc) == denied("OUT_OF_SCOPE", "PEP_CANNOT_ENFORCE")


def test_remote_server_administration_from_a_managed_terminal_needs_role_and_permit() -> None:
    doc = changed(
        healthy("managed_pc", "server_admin", place="outside"),
        subject__roles=[],
        context__work_permit="none",
        context__work_permit_until="none",
    )
    assert judge(doc) == denied("ROLE_REQUIRED", "WORK_PERMIT_MISSING")


def test_a_municipal_terminal_needs_a_federated_identity_and_its_own_data() -> None:
    wrong: list[dict[str, object]] = [
        {"subject__identity_source": "integrated"},
        {"resource__organisations": ["mie"]},
    ]
    for facts in wrong:
        doc = changed(healthy("municipal_pc", "data", place="outside"), **facts)
        assert judge(doc) == denied("ORG_SCOPE")


# --- Group 5 ------------------------------------------------------------------------------------------------------


def test_posture_reasons_are_reported_together_and_a_stopped_edr_is_quarantined() -> None:
    doc = changed(
        healthy("managed_pc", "business"),
        device__posture__certificate=False,
        device__posture__edr_running=False,
        device__posture__disk_encrypted="unknown",
        device__posture__patch_age_days=31,
        device__posture__tampered="unknown",
    )
    expected = denied(
        "CERTIFICATE_MISSING",
        "EDR_NOT_RUNNING",
        "DISK_NOT_ENCRYPTED",
        "PATCH_OVERDUE_DENY",
        "POSTURE_UNKNOWN",
        quarantine="on",
    )
    assert judge(doc) == expected


def test_a_terminal_without_an_edr_agent_is_denied_but_not_quarantined() -> None:
    doc = changed(healthy(), device__posture__edr_running="not_managed", device__posture__edr_risk="high")
    assert judge(doc) == denied("EDR_NOT_RUNNING")


def test_a_section_terminal_without_an_edr_agent_is_left_a_browser_on_communication() -> None:
    doc = changed(
        healthy("section_pc", "communication"),
        device__posture__edr_running="not_managed",
        device__posture__edr_risk="unknown",
    )
    assert judge(doc) == limited("OK_SHARED_TERMINAL", browser_only="on", session_max_minutes=60)
    assert judge(changed(doc, context__pep=[])) == denied("PEP_CANNOT_ENFORCE")
    assert judge(changed(doc, resource__group="internet")) == denied("EDR_NOT_RUNNING")


def test_the_patch_limits_are_exceeded_a_day_after_them() -> None:
    def with_patch_age(days: int) -> Document:
        return changed(healthy(), device__posture__patch_age_days=days)

    assert judge(with_patch_age(14)) == allowed("OK")
    assert judge(with_patch_age(15)) == allowed("OK", "PATCH_OVERDUE_WARN", warn="PATCH_OVERDUE_WARN")
    assert judge(with_patch_age(30)) == allowed("OK", "PATCH_OVERDUE_WARN", warn="PATCH_OVERDUE_WARN")
    assert judge(with_patch_age(31)) == denied("PATCH_OVERDUE_DENY")


def test_both_warnings_stand_before_the_hour_and_the_first_is_the_obligation() -> None:
    doc = changed(
        healthy(),
        device__posture__patch_age_days=20,
        device__posture__disk_encrypted=False,
        context__business_hours=False,
    )
    expected = allowed(
        "OK", "PATCH_OVERDUE_WARN", "DISK_NOT_ENCRYPTED_WARN", "OK_AFTER_HOURS", warn="PATCH_OVERDUE_WARN"
    )
    assert judge(doc) == expected


def test_a_terminal_back_from_outside_is_stale_and_its_age_is_not_judged() -> None:
    doc = changed(healthy(), device__returned_from_outside=True, device__posture__age_hours="unknown")
    assert judge(doc) == denied("POSTURE_STALE")


def test_a_posture_exactly_a_day_old_serves_while_its_source_answers_and_not_when_it_is_down() -> None:
    doc = changed(healthy(), device__posture__age_hours=24)
    assert judge(doc) == allowed("OK")
    assert judge(changed(doc, context__sources__posture="unavailable")) == denied("POSTURE_UNAVAILABLE")
    older = changed(doc, device__posture__age_hours=25)
    assert judge(older) == denied("POSTURE_STALE", "POSTURE_UNAVAILABLE")


def test_administration_stops_while_the_posture_source_is_down() -> None:
    doc = changed(healthy("managed_pc", "account_admin"), context__sources__posture="unavailable")
    assert judge(doc) == denied("POSTURE_UNAVAILABLE")


def test_no_patch_or_edr_fact_counts_on_a_private_phone_but_its_screen_lock_does() -> None:
    doc = changed(
        healthy("byod_phone", "communication", place="outside"),
        device__posture__edr_risk="high",
        device__posture__edr_running=False,
        device__posture__patch_age_days=400,
        device__posture__disk_encrypted=False,
        device__posture__certificate=False,
    )
    assert judge(doc) == limited("OK_BYOD_COMMUNICATION", clipboard="off", save="off")
    assert judge(changed(doc, device__posture__screen_lock=False)) == denied("POSTURE_UNKNOWN")


def test_a_sick_terminal_reaches_its_patches_without_warnings() -> None:
    doc = changed(
        healthy("managed_pc", "remediation"),
        subject__auth_level=1,
        device__state="quarantined",
        device__posture__tampered=True,
        device__posture__edr_running=False,
        device__posture__edr_risk="high",
        device__posture__patch_age_days=20,
        device__posture__age_hours="unknown",
        context__sources__posture="unavailable",
    )
    assert judge(doc) == allowed("OK")


# --- Groups 6 and 7 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1])
def test_too_weak_an_authentication_asks_and_never_denies(level: int) -> None:
    assert judge(changed(healthy(), subject__auth_level=level)) == asked(2, "STEPUP_AUTH_STRENGTH")


def test_every_unmet_cause_is_named_in_order_and_the_highest_level_is_asked() -> None:
    doc = changed(
        healthy("managed_pc", "data", place="outside"),
        subject__auth_level=1,
        device__posture__patch_age_days=20,
        device__posture__edr_risk="medium",
        context__sources__posture="unavailable",
        context__underlay="public_wifi",
        context__risk=["bulk_download"],
    )
    expected = asked(
        3,
        "STEPUP_AUTH_STRENGTH",
        "PATCH_OVERDUE_WARN",
        "EDR_RISK_MEDIUM",
        "POSTURE_UNAVAILABLE",
        "UNTRUSTED_NETWORK",
        "UNUSUAL_USE",
    )
    assert judge(doc) == expected


def test_a_public_network_asks_one_level_more_than_the_cell() -> None:
    doc = changed(healthy("managed_pc", "remediation", place="outside"), context__underlay="unknown")
    assert judge(changed(doc, subject__auth_level=1)) == asked(2, "UNTRUSTED_NETWORK")
    assert judge(changed(doc, subject__auth_level=0)) == asked(2, "STEPUP_AUTH_STRENGTH", "UNTRUSTED_NETWORK")
    assert judge(changed(doc, subject__auth_level=2)) == allowed("OK_REMOTE")


def test_a_warning_that_is_no_cause_is_not_repeated_in_a_step_up() -> None:
    doc = changed(healthy(), subject__auth_level=1, device__posture__patch_age_days=20)
    assert judge(doc) == asked(2, "STEPUP_AUTH_STRENGTH")


def test_an_unencrypted_path_and_a_foreign_country_deny_outside_only() -> None:
    facts: dict[str, object] = {"context__path_encrypted": "unknown", "context__country": "unknown"}
    assert judge(changed(healthy(), **facts)) == allowed("OK")
    outside = healthy("managed_pc", "communication", place="outside")
    assert judge(changed(outside, **facts)) == denied("PATH_NOT_PROTECTED", "COUNTRY_NOT_ALLOWED")


def test_signals_of_misuse_deny_and_end_the_sessions_even_in_the_office() -> None:
    doc = changed(healthy(), context__risk=["impersonation", "impossible_travel", "bulk_download"])
    assert judge(doc) == denied("IMPOSSIBLE_TRAVEL", "IMPERSONATION", terminate_sessions="on")


def test_a_deny_of_context_goes_before_a_step_up() -> None:
    doc = changed(healthy(), subject__auth_level=0, context__risk=["malware_alert"])
    assert judge(doc) == denied("MALWARE_ALERT", terminate_sessions="on")


# --- Group 8: disaster mode ---------------------------------------------------------------------------------------


def disaster_document() -> Document:
    return changed(
        healthy("managed_pc", "disaster", place="outside"),
        subject__roles=["disaster_response"],
        context__disaster_mode=True,
    )


def test_disaster_mode_forgives_posture_and_context_and_asks_level_2() -> None:
    doc = changed(
        disaster_document(),
        subject__auth_level=2,
        device__state="quarantined",
        device__returned_from_outside=True,
        device__posture__certificate=False,
        device__posture__edr_running=False,
        device__posture__edr_risk="medium",
        device__posture__disk_encrypted=False,
        device__posture__patch_age_days="unknown",
        context__path_encrypted=False,
        context__underlay="public_wifi",
        context__country="US",
        context__risk=["bulk_download", "impossible_travel", "impersonation"],
        context__sources__posture="unavailable",
    )
    assert judge(doc) == allowed("OK_DISASTER")
    assert judge(changed(doc, subject__auth_level=1)) == asked(2, "STEPUP_AUTH_STRENGTH")


@pytest.mark.parametrize(
    ("facts", "answer"),
    [
        ({"device__posture__edr_risk": "high"}, denied("EDR_RISK_HIGH", quarantine="on")),
        ({"device__posture__edr_risk": "unknown"}, denied("POSTURE_UNKNOWN")),
        ({"device__posture__tampered": True}, denied("DEVICE_TAMPERED")),
        ({"device__posture__tampered": "unknown"}, denied("POSTURE_UNKNOWN")),
        ({"context__risk": ["malware_alert"]}, denied("MALWARE_ALERT", terminate_sessions="on")),
        ({"device__takeout": "not_permitted"}, denied("TAKEOUT_NOT_ALLOWED")),
        ({"device__relation": "none"}, denied("DEVICE_OF_OTHER_USER")),
        ({"subject__employment": "ended"}, denied("ACCOUNT_EXPIRED")),
    ],
)
def test_disaster_mode_does_not_forgive(facts: dict[str, object], answer: dict[str, object]) -> None:
    assert judge(changed(disaster_document(), **facts)) == answer


def test_disaster_mode_is_for_regular_staff_with_the_role_only() -> None:
    sick: dict[str, object] = {"device__posture__patch_age_days": 45}
    assert judge(changed(disaster_document(), **sick)) == allowed("OK_DISASTER")
    others: list[dict[str, object]] = [
        {"subject__kind": "fixed_term_staff"},
        {"subject__roles": []},
        {"context__disaster_mode": False},
    ]
    for facts in others:
        assert judge(changed(disaster_document(), **sick, **facts)) == denied("PATCH_OVERDUE_DENY")


def test_a_section_terminal_whose_edr_is_not_known_keeps_its_browser_limit_in_disaster_mode() -> None:
    doc = changed(
        healthy("section_pc", "communication"),
        subject__roles=["disaster_response"],
        context__disaster_mode=True,
        context__pep=[],
        device__posture__edr_running="not_managed",
    )
    assert judge(doc) == denied("PEP_CANNOT_ENFORCE")
    assert judge(changed(doc, device__posture__edr_running="unknown")) == denied("PEP_CANNOT_ENFORCE")


# --- Primary codes ------------------------------------------------------------------------------------------------


def test_a_break_glass_account_goes_by_the_matrix_is_recorded_and_raises_an_alert() -> None:
    doc = changed(healthy(), subject__kind="emergency_account")
    assert judge(doc) == limited("BREAK_GLASS", record_session="on", alert="admins")
    assert judge(changed(doc, context__pep=[])) == denied("PEP_CANNOT_ENFORCE")


def test_maintenance_is_recorded_and_ends_with_its_window() -> None:
    doc = healthy("maintenance_pc", "server_admin", place="outside")
    assert judge(doc) == limited("OK_MAINTENANCE", record_session="on", end_at="2023-08-07T02:00:00+09:00")


def test_a_private_pc_has_every_limit_of_a_private_pc() -> None:
    limits = {"clipboard": "off", "save": "off", "browser_only": "on", "download": "off", "print": "off"}
    assert judge(healthy("byod_pc", "communication")) == limited("OK_BYOD_COMMUNICATION", **limits)


def test_the_first_primary_code_that_applies_is_the_one_that_is_given() -> None:
    federated = changed(healthy("mobile_pc", "lgwan", place="outside"), subject__identity_source="federated")
    assert reasons(federated) == ["OK_FEDERATED"]
    assert reasons(healthy("mobile_pc", "lgwan", place="outside")) == ["OK_SCREEN_TRANSFER"]
    assert reasons(healthy("mobile_pc", "business", place="outside")) == ["OK_LOAN"]
    assert reasons(healthy("managed_pc", "legacy", status="readonly")) == ["LEGACY_READONLY"]
    assert reasons(healthy("managed_pc", "communication", status="readonly")) == ["OK"]
    concurrent = changed(
        healthy("managed_pc", "business", place="outside"),
        resource__departments=["soumu"],
        subject__departments=["kankyo", "soumu"],
    )
    assert reasons(concurrent) == ["OK_CONCURRENT_POST"]
    unshared = changed(healthy("section_pc", "communication"), device__shared=False)
    assert judge(unshared) == allowed("OK")
