package pdp.obligations_test

import data.pdp.fixtures_test as given

test_maintenance_is_recorded_and_ends_with_its_window if {
	given.obligations(given.maintenance, {}) == {"record_session": "on", "end_at": "2023-08-07T02:00:00+09:00"}
}

test_a_window_that_has_no_end_names_none if {
	given.obligations(given.maintenance, {"context": {"work_permit_until": "none"}}) == {"record_session": "on"}
}

test_a_shared_terminal_ends_its_session if {
	given.decision(given.section_terminal, {"device": {"shared": true}}) == {
		"outcome": "limit",
		"reasons": ["OK_SHARED_TERMINAL"],
		"obligations": {"session_max_minutes": 60},
	}
}

test_the_emergency_account_is_recorded_and_alerts if {
	given.decision(given.office, {"subject": {"kind": "emergency_account"}}) == {
		"outcome": "limit",
		"reasons": ["BREAK_GLASS"],
		"obligations": {"record_session": "on", "alert": "admins"},
	}
}

test_a_warning_beside_limits_does_not_hide_them if {
	changes := {"device": {"shared": true, "posture": {"patch_age_days": 20, "disk_encrypted": false}}}
	given.decision(given.section_terminal, changes) == {
		"outcome": "limit",
		"reasons": ["OK_SHARED_TERMINAL", "PATCH_OVERDUE_WARN", "DISK_NOT_ENCRYPTED_WARN"],
		"obligations": {"session_max_minutes": 60, "warn": "PATCH_OVERDUE_WARN"},
	}
}

test_what_limits_an_allow_has_no_place_in_a_denial if {
	given.obligations(given.phone, given.posture({"tampered": true})) == {}
	emergency := {"subject": {"kind": "emergency_account", "employment": "suspended"}}
	given.obligations(given.office, emergency) == {}
}

test_a_denial_by_an_earlier_group_does_not_quarantine if {
	changes := given.with_facts(given.posture({"edr_running": false}), {"resource": {"tenant": "other"}})
	given.obligations(given.office, changes) == {}
}
