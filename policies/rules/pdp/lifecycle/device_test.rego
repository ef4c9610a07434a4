package pdp.lifecycle_test

import data.pdp.fixtures_test as given

test_a_lost_terminal_is_refused_its_sessions_end_and_it_is_wiped if {
	given.decision(given.office, {"device": {"state": "lost"}}) == {
		"outcome": "deny",
		"reasons": ["DEVICE_LOST"],
		"obligations": {"terminate_sessions": "on", "wipe": "request"},
	}
}

test_finding_a_lost_terminal_is_not_enough if {
	given.decision(given.office, {"device": {"state": "lost_unconfirmed_found"}}) == {
		"outcome": "deny",
		"reasons": ["LOST_NOT_CLEARED"],
		"obligations": {},
	}
}

test_a_retired_terminal_is_refused_even_the_help_desk if {
	given.reasons(given.help_desk, {"device": {"state": "retired"}}) == ["DEVICE_RETIRED"]
}

test_a_terminal_in_a_state_that_nobody_knows_counts_as_retired if {
	given.reasons(given.office, {"device": {"state": "borrowed"}}) == ["DEVICE_RETIRED"]
}

test_the_terminal_of_a_leaver_is_reported_beside_the_account if {
	changes := {"subject": {"employment": "ended"}, "device": {"state": "lost"}}
	given.reasons(given.office, changes) == ["ACCOUNT_EXPIRED", "DEVICE_LOST"]
}
