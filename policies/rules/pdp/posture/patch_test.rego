package pdp.posture_test

import data.pdp.fixtures_test as given

test_patches_within_the_warning_limit_are_in_time if {
	given.reasons(given.office, given.posture({"patch_age_days": 14})) == ["OK"]
}

test_patches_above_the_warning_limit_warn if {
	every days in [15, 30] {
		given.decision(given.office, given.posture({"patch_age_days": days})) == {
			"outcome": "allow",
			"reasons": ["OK", "PATCH_OVERDUE_WARN"],
			"obligations": {"warn": "PATCH_OVERDUE_WARN"},
		}
	}
}

test_patches_above_the_deadline_deny if {
	given.reasons(given.office, given.posture({"patch_age_days": 31})) == ["PATCH_OVERDUE_DENY"]
}

test_overdue_patches_ask_one_level_more_of_some_groups if {
	overdue := given.posture({"patch_age_days": 20})
	given.decision(given.business_system, overdue) == {
		"outcome": "step_up",
		"reasons": ["PATCH_OVERDUE_WARN"],
		"obligations": {},
		"required_auth_level": 3,
	}
	stronger := given.with_facts(overdue, {"subject": {"auth_level": 3}})
	given.reasons(given.business_system, stronger) == ["OK", "PATCH_OVERDUE_WARN"]
	every group in ["no_code", "data"] {
		given.outcome(given.office, given.with_facts(overdue, {"resource": {"group": group}})) == "step_up"
	}
	given.outcome(given.lgwan_system, overdue) == "step_up"
	given.outcome(given.office, given.with_facts(overdue, {"resource": {"group": "internet"}})) == "allow"
}

test_one_level_more_than_the_highest_is_the_highest if {
	changes := given.with_facts(given.posture({"patch_age_days": 20}), {
		"subject": {"auth_level": 3},
		"context": {"zone": "sase", "underlay": "public_wifi"},
	})
	given.reasons(given.business_system, changes) == ["OK_REMOTE", "PATCH_OVERDUE_WARN"]
}
