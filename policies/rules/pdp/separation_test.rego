package pdp.separation_test

import data.pdp.fixtures_test as given

mynumber := {"resource": {"group": "mynumber", "segment": "mynumber"}}

test_only_a_terminal_of_its_own_reaches_the_my_number_layer if {
	given.reasons(given.office, mynumber) == ["SEGMENT_SEPARATED"]
	given.outcome(given.office, given.with_facts(mynumber, {"device": {"class": "mynumber_terminal"}})) == "allow"
}

test_no_role_and_no_disaster_lifts_the_separation if {
	lifted := given.with_facts(mynumber, {
		"subject": {"roles": ["disaster_response", "server_admin", "account_admin"], "auth_level": 3},
		"context": {"disaster_mode": true},
	})
	given.reasons(given.office, lifted) == ["SEGMENT_SEPARATED"]
}

test_separation_is_judged_before_registration if {
	given.reasons(given.office, given.with_facts(mynumber, {"device": {"registered": false}})) == ["SEGMENT_SEPARATED"]
}
