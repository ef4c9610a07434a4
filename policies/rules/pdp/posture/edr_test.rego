package pdp.posture_test

import data.pdp.fixtures_test as given

test_a_stopped_edr_denies_and_quarantines_even_in_the_office if {
	given.decision(given.office, given.posture({"edr_running": false})) == {
		"outcome": "deny",
		"reasons": ["EDR_NOT_RUNNING"],
		"obligations": {"quarantine": "on"},
	}
}

test_a_terminal_that_never_had_an_edr_is_refused_without_quarantine if {
	given.decision(given.office, given.posture({"edr_running": "not_managed"})) == {
		"outcome": "deny",
		"reasons": ["EDR_NOT_RUNNING"],
		"obligations": {},
	}
}

test_a_section_terminal_without_edr_may_use_communication_only if {
	without := given.posture({"edr_running": "not_managed"})
	given.outcome(given.section_terminal, without) == "limit"
	web := given.with_facts(without, {"resource": {"group": "internet"}})
	given.reasons(given.section_terminal, web) == ["EDR_NOT_RUNNING"]
}

test_no_risk_is_judged_where_there_is_no_edr if {
	every risk in ["high", "medium", "unknown"] {
		changes := given.posture({"edr_running": "not_managed", "edr_risk": risk})
		given.reasons(given.section_terminal, changes) == ["OK"]
	}
}

test_a_risk_is_judged_even_where_the_edr_has_stopped if {
	changes := given.posture({"edr_running": false, "edr_risk": "high"})
	given.reasons(given.office, changes) == ["EDR_NOT_RUNNING", "EDR_RISK_HIGH"]
}

test_a_high_risk_denies_and_quarantines if {
	given.decision(given.office, given.posture({"edr_risk": "high"})) == {
		"outcome": "deny",
		"reasons": ["EDR_RISK_HIGH"],
		"obligations": {"quarantine": "on"},
	}
}

test_a_medium_risk_asks_for_level_3 if {
	medium := given.posture({"edr_risk": "medium"})
	given.decision(given.office, medium) == {
		"outcome": "step_up",
		"reasons": ["EDR_RISK_MEDIUM"],
		"obligations": {},
		"required_auth_level": 3,
	}
	given.reasons(given.office, given.with_facts(medium, {"subject": {"auth_level": 3}})) == ["OK"]
}

test_a_low_risk_is_none if given.outcome(given.office, given.posture({"edr_risk": "low"})) == "allow"
