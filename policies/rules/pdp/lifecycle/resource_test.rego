package pdp.lifecycle_test

import data.pdp.fixtures_test as given

test_a_system_that_has_ended if {
	given.reasons(given.office, {"resource": {"status": "ended"}}) == ["SERVICE_ENDED"]
}

test_a_system_that_has_not_begun if {
	given.reasons(given.office, {"resource": {"status": "not_started"}}) == ["SERVICE_NOT_STARTED"]
}

test_a_system_in_a_status_that_nobody_knows_counts_as_ended if {
	given.reasons(given.office, {"resource": {"status": "paused"}}) == ["SERVICE_ENDED"]
}

test_a_system_that_the_catalogue_does_not_know_gives_one_code_only if {
	every status in ["in_service", "ended", "not_started"] {
		changes := {"resource": {"group": "unknown", "segment": "unknown", "status": status}}
		given.reasons(given.office, changes) == ["RESOURCE_UNKNOWN"]
	}
}
