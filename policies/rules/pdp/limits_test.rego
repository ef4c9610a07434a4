package pdp.limits_test

import data.pdp.fixtures_test as given

test_a_place_without_limits_has_none if given.obligations(given.office, {}) == {}

test_screen_transfer_limits if {
	given.obligations(given.lgwan_system, {}) == {
		"clipboard": "off", "print": "off", "save": "off",
		"screen_transfer_only": "on",
	}
}

test_a_private_phone_is_limited_on_communication if {
	given.obligations(given.phone, {}) == {"clipboard": "off", "save": "off"}
}

test_a_private_pc_is_limited_further if {
	given.obligations(given.private_pc, {}) == {
		"clipboard": "off", "save": "off", "browser_only": "on",
		"download": "off", "print": "off",
	}
}

test_a_section_terminal_without_edr_is_limited_to_the_browser if {
	given.obligations(given.section_terminal, given.posture({"edr_running": "not_managed"})) == {"browser_only": "on"}
}

# What is not known is limited like what is not there: forgetting a fact never widens an answer.
test_disaster_mode_limits_a_section_terminal_whose_edr_is_not_known if {
	given.obligations(given.section_terminal, {
		"subject": {"roles": ["disaster_response"]},
		"device": {"posture": {"edr_running": "unknown"}},
		"context": {"disaster_mode": true},
	}) == {"browser_only": "on"}
}

test_limits_that_the_data_does_not_describe_open_nothing if {
	answer := data.pdp.decision with input as given.phone
		with data.zta.matrix.rows.communication.byod_phone.outside.limits as "no_such_set"
	answer.reasons == ["PEP_CANNOT_ENFORCE"]
}
