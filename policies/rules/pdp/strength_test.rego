package pdp.strength_test

import data.pdp.fixtures_test as given

test_a_password_alone_asks_for_more if {
	given.decision(given.office, {"subject": {"auth_level": 1}}).required_auth_level == 2
}

test_nobody_signed_in_is_asked_for_the_level_of_the_cell if {
	given.decision(given.help_desk, {"subject": {"auth_level": 0}}) == {
		"outcome": "step_up",
		"reasons": ["STEPUP_AUTH_STRENGTH"],
		"obligations": {},
		"required_auth_level": 1,
	}
}

test_only_causes_that_are_not_met_are_named if {
	changes := {"subject": {"auth_level": 2}, "context": {"risk": ["bulk_download"]}}
	given.reasons(given.office, changes) == ["UNUSUAL_USE"]
}

test_all_causes_in_order_and_the_highest_level if {
	changes := {
		"subject": {"auth_level": 1},
		"device": {"posture": {"edr_risk": "medium", "patch_age_days": 20}},
		"context": {
			"zone": "sase", "underlay": "public_wifi",
			"risk": ["bulk_download"], "sources": {"posture": "unavailable"},
		},
	}
	given.decision(given.business_system, changes) == {
		"outcome": "step_up",
		"reasons": [
			"STEPUP_AUTH_STRENGTH", "PATCH_OVERDUE_WARN", "EDR_RISK_MEDIUM",
			"POSTURE_UNAVAILABLE", "UNTRUSTED_NETWORK", "UNUSUAL_USE",
		],
		"obligations": {},
		"required_auth_level": 3,
	}
}
