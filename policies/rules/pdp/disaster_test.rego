package pdp.disaster_test

import data.pdp.fixtures_test as given

test_disaster_mode_relaxes_posture if {
	sick := given.posture({
		"certificate": false, "disk_encrypted": false, "edr_running": false, "edr_risk": "medium",
		"patch_age_days": 45, "age_hours": 240,
	})
	changes := given.with_facts(sick, {
		"device": {"returned_from_outside": true, "state": "quarantined"},
		"context": {"sources": {"posture": "unavailable"}},
	})
	given.decision(given.disaster, changes) == {"outcome": "allow", "reasons": ["OK_DISASTER"], "obligations": {}}
}

test_disaster_mode_relaxes_context if {
	changes := {"context": {
		"path_encrypted": false, "country": "US", "underlay": "public_wifi",
		"risk": ["bulk_download", "impossible_travel", "impersonation"],
	}}
	given.reasons(given.disaster, changes) == ["OK_DISASTER"]
}

test_what_disaster_mode_never_relaxes if {
	given.reasons(given.disaster, given.posture({"edr_risk": "high"})) == ["EDR_RISK_HIGH"]
	given.reasons(given.disaster, given.posture({"edr_risk": "unknown"})) == ["POSTURE_UNKNOWN"]
	given.reasons(given.disaster, given.posture({"tampered": true})) == ["DEVICE_TAMPERED"]
	given.reasons(given.disaster, given.posture({"tampered": "unknown"})) == ["POSTURE_UNKNOWN"]
	given.reasons(given.disaster, {"context": {"risk": ["malware_alert"]}}) == ["MALWARE_ALERT"]
}

test_other_facts_need_not_be_known_in_disaster_mode if {
	changes := given.posture({"edr_running": "unknown", "patch_age_days": "unknown", "age_hours": "unknown"})
	given.reasons(given.disaster, changes) == ["OK_DISASTER"]
}

test_a_risk_that_no_edr_reports_need_not_be_known if {
	changes := given.posture({"edr_running": "not_managed", "edr_risk": "unknown"})
	given.reasons(given.disaster, changes) == ["OK_DISASTER"]
	given.reasons(given.phone, {
		"subject": {"roles": ["disaster_response"]},
		"context": {"disaster_mode": true},
		"device": {"posture": {"screen_lock": false}},
	}) == ["OK_DISASTER"]
}

test_a_stopped_edr_is_quarantined_in_disaster_mode_only_for_a_high_risk if {
	stopped := given.posture({"edr_running": false, "tampered": true})
	given.obligations(given.disaster, stopped) == {}
	risky := given.with_facts(stopped, given.posture({"edr_risk": "high"}))
	given.obligations(given.disaster, risky) == {"quarantine": "on"}
}

test_disaster_mode_never_relaxes_the_first_four_groups if {
	given.reasons(given.disaster, {"subject": {"employment": "ended"}}) == ["ACCOUNT_EXPIRED"]
	given.reasons(given.disaster, {"device": {"takeout": "not_permitted"}}) == ["TAKEOUT_NOT_ALLOWED"]
	given.reasons(given.disaster, {"device": {"relation": "none"}}) == ["DEVICE_OF_OTHER_USER"]
}

test_disaster_mode_asks_for_level_2_always if {
	answer := given.decision(given.disaster, {"subject": {"auth_level": 1}, "context": {"risk": ["bulk_download"]}})
	[answer.reasons, answer.required_auth_level] == [["STEPUP_AUTH_STRENGTH"], 2]
}

test_disaster_mode_needs_all_its_conditions if {
	every changes in [
		{"subject": {"kind": "fixed_term_staff"}},
		{"subject": {"roles": []}},
		{"context": {"disaster_mode": false}},
		{"context": {"disaster_mode": "true"}},
		{"resource": {"group": "internet"}},
	] {
		overdue := given.with_facts(changes, given.posture({"patch_age_days": 45}))
		given.reasons(given.disaster, overdue) == ["PATCH_OVERDUE_DENY"]
	}
}

test_the_hour_is_still_marked_in_disaster_mode if {
	given.reasons(given.disaster, {"context": {"business_hours": false}}) == ["OK_DISASTER", "OK_AFTER_HOURS"]
}

test_the_limits_of_a_place_stay_in_disaster_mode if {
	changes := {"subject": {"roles": ["disaster_response"]}, "context": {"disaster_mode": true}}
	given.obligations(given.phone, changes) == {"clipboard": "off", "save": "off"}
	without_edr := given.with_facts(changes, given.posture({"edr_running": "not_managed"}))
	given.obligations(given.section_terminal, without_edr) == {"browser_only": "on"}
}
