package pdp.errors_test

import data.pdp.errors

test_the_codes_exist_for_the_service_to_use if {
	[errors.bad_input, errors.evaluation_error, errors.policy_stale] == ["BAD_INPUT", "EVALUATION_ERROR", "POLICY_STALE"]
}
