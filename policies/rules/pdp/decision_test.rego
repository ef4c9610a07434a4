package pdp.decision_test

import data.pdp.fixtures_test as given

test_staff_in_the_office_are_allowed if {
	given.decision(given.office, {}) == {"outcome": "allow", "reasons": ["OK"], "obligations": {}}
}

test_every_starting_point_of_the_tests_is_open if {
	every start in [
		given.office, given.home, given.section_terminal, given.mobile_terminal, given.phone, given.private_pc,
		given.business_system, given.lgwan_system, given.help_desk, given.maintenance, given.server_admin,
		given.municipality, given.disaster,
	] {
		given.outcome(start, {}) in {"allow", "limit"}
	}
}

test_a_document_of_another_version_is_bad_input if {
	given.reasons(given.office, {"schema": "pdp.input/v2"}) == ["BAD_INPUT"]
}

test_no_input_at_all_is_bad_input if {
	data.pdp.decision.reasons == ["BAD_INPUT"] with input as {}
}

test_what_cannot_be_judged_is_denied if {
	answer := data.pdp.decision with input as given.office
		with data.zta.matrix.rows.communication.managed_pc.office.level as null
	answer == {"outcome": "deny", "reasons": ["EVALUATION_ERROR"], "obligations": {}}
}

test_the_first_group_that_denies_decides_alone if {
	changes := {
		"subject": {"employment": "ended"},
		"device": {"registered": false},
		"resource": {"tenant": "other"},
		"context": {"risk": ["malware_alert"]},
	}
	given.decision(given.office, changes) == {"outcome": "deny", "reasons": ["ACCOUNT_EXPIRED"], "obligations": {}}
}

test_every_code_of_the_deciding_group_is_reported_in_order if {
	changes := {"device": {"posture": {
		"age_hours": 240, "patch_age_days": 45, "disk_encrypted": false,
		"edr_running": false, "certificate": false, "tampered": "unknown",
	}}}
	given.reasons(given.business_system, changes) == [
		"CERTIFICATE_MISSING", "EDR_NOT_RUNNING", "DISK_NOT_ENCRYPTED",
		"PATCH_OVERDUE_DENY", "POSTURE_STALE", "POSTURE_UNKNOWN",
	]
}

test_a_step_up_is_answered_only_where_no_group_denies if {
	given.reasons(given.office, {"subject": {"auth_level": 1}, "context": {"risk": ["malware_alert"]}}) == ["MALWARE_ALERT"]
}

test_a_step_up_carries_its_level_and_no_obligation if {
	given.decision(given.phone, {"subject": {"auth_level": 1}}) == {
		"outcome": "step_up",
		"reasons": ["STEPUP_AUTH_STRENGTH"],
		"obligations": {},
		"required_auth_level": 2,
	}
}

test_the_order_of_lists_does_not_matter if {
	changes := [
	{"subject": {"roles": list}, "resource": {"organisations": list}, "context": {"pep": list, "risk": []}} |
		some list in [["clipboard", "save", "x"], ["x", "save", "clipboard"]]
	]
	given.decision(given.phone, changes[0]) == given.decision(given.phone, changes[1])
}

# One document for each kind of denial. Whatever key is dropped from it, it stays denied.
denied := [
	given.with_facts(given.office, {"subject": {"kind": "shared_account"}}),
	given.with_facts(given.office, {"subject": {"employment": "suspended"}}),
	given.with_facts(given.office, {"device": {"state": "lost"}}),
	given.with_facts(given.help_desk, {"device": {"state": "retired"}}),
	given.with_facts(given.office, {"resource": {"status": "ended"}}),
	given.with_facts(given.office, {"resource": {"group": "mynumber", "segment": "mynumber"}}),
	given.with_facts(given.phone, {"resource": {"group": "data"}}),
	given.with_facts(given.home, {"device": {"takeout": "not_permitted"}}),
	given.with_facts(given.business_system, {"resource": {"segment": "lgwan"}}),
	given.with_facts(given.phone, {"device": {"permit": "held"}}),
	given.with_facts(given.mobile_terminal, {"device": {"loan": "mismatch"}}),
	given.with_facts(given.office, {"device": {"relation": "assigned_to_other"}}),
	given.with_facts(given.office, {"resource": {"departments": ["kankyo"]}}),
	given.with_facts(given.municipality, {"subject": {"organisation": "mie"}}),
	given.with_facts(given.maintenance, {"context": {"work_permit": "not_named"}}),
	given.with_facts(given.office, {"resource": {"status": "readonly"}}),
	given.with_facts(given.phone, {"context": {"pep": []}}),
	given.with_facts(given.office, {"device": {"returned_from_outside": true}}),
	given.with_facts(given.home, {"context": {"path_encrypted": false}}),
	given.with_facts(given.office, {"context": {"risk": ["impersonation"]}}),
	given.with_facts(given.home, {"context": {"country": "US"}}),
	given.with_facts(given.office, given.posture({
		"certificate": false, "tampered": true, "edr_running": false, "edr_risk": "high", "patch_age_days": 45,
	})),
]

test_dropping_a_key_never_opens_what_was_denied if {
	every document in denied {
		paths := [path | walk(document, [path, _]); count(path) > 0; every step in path { is_string(step) }]
		opened := [path |
			some path in paths
			shortened := json.remove(document, [concat("/", path)])
			answer := data.pdp.decision with input as shortened
			answer.outcome != "deny"
		]
		opened == []
	}
}
