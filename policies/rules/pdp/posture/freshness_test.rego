package pdp.posture_test

import data.pdp.fixtures_test as given

unavailable := {"context": {"sources": {"posture": "unavailable"}}}

test_an_old_posture_is_stale_whatever_the_class if {
	every start in [given.office, given.phone] {
		given.outcome(start, given.posture({"age_hours": 24})) in {"allow", "limit"}
		given.reasons(start, given.posture({"age_hours": 25})) == ["POSTURE_STALE"]
		given.reasons(start, given.posture({"age_hours": "unknown"})) == ["POSTURE_UNKNOWN"]
	}
}

test_a_terminal_back_from_outside_awaits_its_re_check if {
	given.reasons(given.office, {"device": {"returned_from_outside": true}}) == ["POSTURE_STALE"]
}

test_the_age_of_a_terminal_that_awaits_its_re_check_is_not_judged if {
	changes := {"device": {"returned_from_outside": true, "posture": {"age_hours": "unknown"}}}
	given.reasons(given.office, changes) == ["POSTURE_STALE"]
	source_down := {"context": {"sources": {"posture": "unavailable"}}}
	given.reasons(given.office, object.union(changes, source_down)) == ["POSTURE_STALE"]
}

test_facts_that_must_be_known_of_an_organisation_device if {
	every name in ["tampered", "edr_running", "edr_risk", "patch_age_days", "age_hours"] {
		given.reasons(given.office, given.posture({name: "unknown"})) == ["POSTURE_UNKNOWN"]
	}
}

test_facts_that_need_not_be_known if {
	every name in ["av_current", "firewall", "screen_lock", "source"] {
		given.reasons(given.office, given.posture({name: "unknown"})) == ["OK"]
	}
}

test_a_private_device_locks_its_screen if {
	every value in [false, "unknown"] {
		given.reasons(given.phone, given.posture({"screen_lock": value})) == ["POSTURE_UNKNOWN"]
	}
}

test_without_its_source_the_last_posture_serves_communication if {
	given.reasons(given.office, unavailable) == ["OK"]
}

test_without_its_source_everything_else_asks_for_level_3 if {
	given.decision(given.business_system, unavailable) == {
		"outcome": "step_up",
		"reasons": ["POSTURE_UNAVAILABLE"],
		"obligations": {},
		"required_auth_level": 3,
	}
	stronger := given.with_facts(unavailable, {"subject": {"auth_level": 3}})
	given.reasons(given.business_system, stronger) == ["OK"]
}

test_without_its_source_administration_is_refused if {
	given.reasons(given.server_admin, unavailable) == ["POSTURE_UNAVAILABLE"]
	given.reasons(given.maintenance, unavailable) == ["POSTURE_UNAVAILABLE"]
}

aged(hours) := given.with_facts(unavailable, given.posture({"age_hours": hours}))

test_without_its_source_the_last_posture_must_be_younger_than_the_limit if {
	given.reasons(given.office, aged(23)) == ["OK"]
	given.reasons(given.office, aged(24)) == ["POSTURE_UNAVAILABLE"]
	given.reasons(given.office, aged(25)) == ["POSTURE_STALE", "POSTURE_UNAVAILABLE"]
	given.reasons(given.office, aged("unknown")) == ["POSTURE_UNKNOWN", "POSTURE_UNAVAILABLE"]
}
