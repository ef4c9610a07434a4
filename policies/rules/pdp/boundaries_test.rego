# What a rule must leave alone: facts that belong to another kind of terminal, place or system change nothing.
# Each of these was a small wrong turn of a rule that no other test noticed (`pdp bundle mutate`).
package pdp.boundaries_test

import data.pdp.fixtures_test as given

test_permits_and_bookings_of_another_class_are_not_judged if {
	every changes in [{"permit": "expired"}, {"permit": "held"}, {"loan": "mismatch"}, {"loan": "expired"}] {
		given.reasons(given.office, {"device": changes}) == ["OK"]
	}
}

test_a_work_permit_is_judged_only_where_one_is_needed if {
	every state in ["out_of_window", "out_of_scope", "not_named"] {
		given.reasons(given.office, {"context": {"work_permit": state}}) == ["OK"]
	}
}

test_the_end_of_a_work_permit_ends_nothing_else if {
	given.obligations(given.office, {"context": {
		"work_permit": "valid",
		"work_permit_until": "2023-08-07T02:00:00+09:00",
	}}) == {}
}

test_an_untrusted_line_below_the_office_network_asks_for_nothing_more if {
	given.outcome(given.business_system, {"context": {"underlay": "public_wifi"}}) == "allow"
}

test_an_unregistered_terminal_is_told_so_and_nothing_else if {
	given.reasons(given.office, {"device": {"registered": false, "class": "unknown"}}) == ["DEVICE_UNREGISTERED"]
	given.reasons(given.business_system, {
		"device": {"registered": false},
		"resource": {"segment": "lgwan"},
	}) == ["DEVICE_UNREGISTERED"]
}

test_a_terminal_of_the_wrong_class_is_not_told_to_wait_for_the_move if {
	given.reasons(given.business_system, {
		"device": {"class": "maintenance_pc"},
		"resource": {"segment": "lgwan"},
	}) == ["DEVICE_CLASS"]
}

test_a_business_system_in_the_cloud_has_moved if {
	given.outcome(given.business_system, {"resource": {"segment": "cloud"}}) == "allow"
	not "SEGMENT_NOT_YET_MOVED" in given.reasons(given.business_system, {"resource": {"segment": "mynumber"}})
}

test_only_a_legacy_system_becomes_narrower_when_it_is_read_only if {
	given.outcome(given.section_terminal, {"resource": {"status": "readonly"}, "action": {"name": "read"}}) == "allow"
}

test_a_dedicated_terminal_belongs_to_its_section if {
	given.outcome(given.office, {
		"device": {"class": "mynumber_terminal", "relation": "pool"},
		"resource": {"id": "mynumber-system", "group": "mynumber", "segment": "mynumber"},
	}) == "allow"
}

test_without_its_source_the_administration_of_accounts_is_refused if {
	given.reasons(given.office, {
		"subject": {"roles": ["account_admin"], "auth_level": 3},
		"resource": {"id": "staff-accounts", "group": "account_admin", "segment": "internet"},
		"context": {"sources": {"posture": "unavailable"}},
	}) == ["POSTURE_UNAVAILABLE"]
}

test_facts_that_are_not_asked_of_a_private_terminal_do_not_stand_in_for_its_lock if {
	given.reasons(given.phone, {"device": {"posture": {
		"certificate": true, "disk_encrypted": true, "edr_running": true, "edr_risk": "none",
		"patch_age_days": 3, "screen_lock": false,
	}}}) == ["POSTURE_UNKNOWN"]
}

no_limits := {"context": {"pep": []}}

test_an_unknown_edr_is_unknown_and_no_limit_of_the_gateway if {
	given.reasons(given.section_terminal, given.with_facts(no_limits, given.posture({"edr_running": "unknown"}))) == ["POSTURE_UNKNOWN"]
}

test_a_known_edr_needs_no_limit_in_disaster_mode if {
	given.outcome(given.section_terminal, given.with_facts(no_limits, {
		"subject": {"roles": ["disaster_response"]},
		"context": {"disaster_mode": true},
	})) == "allow"
}
