package pdp.device_class_test

import data.pdp.fixtures_test as given

test_a_terminal_that_is_not_registered if {
	given.reasons(given.office, {"device": {"registered": false}}) == ["DEVICE_UNREGISTERED"]
}

test_registration_is_reported_before_the_matrix_and_take_out if {
	given.reasons(given.phone, {"device": {"registered": false}, "resource": {"group": "data"}}) == ["DEVICE_UNREGISTERED"]
	given.reasons(given.home, {"device": {"registered": false, "takeout": "unknown"}}) == ["DEVICE_UNREGISTERED"]
}

test_a_private_device_reaches_nothing_else_whatever_the_role if {
	changes := {
		"subject": {"roles": ["data_user", "account_admin"], "auth_level": 3},
		"resource": {"group": "data"},
	}
	given.reasons(given.phone, changes) == ["BYOD_SCOPE"]
}

test_a_registered_device_of_unknown_class if {
	given.reasons(given.office, {"device": {"class": "unknown"}}) == ["DEVICE_CLASS"]
}

test_the_matrix_is_reported_before_take_out if {
	changes := {"device": {"takeout": "not_permitted"}, "resource": {"group": "account_admin"}}
	given.reasons(given.home, changes) == ["DEVICE_CLASS"]
}

test_a_terminal_without_take_out_stays_inside if {
	every takeout in ["not_permitted", "unknown"] {
		given.reasons(given.home, {"device": {"takeout": takeout}}) == ["TAKEOUT_NOT_ALLOWED"]
		given.outcome(given.office, {"device": {"takeout": takeout}}) == "allow"
	}
}

test_take_out_is_asked_of_managed_terminals_only if {
	given.outcome(given.mobile_terminal, {"device": {"takeout": "not_permitted"}}) == "allow"
}

test_a_section_terminal_outside_has_one_code_even_where_the_matrix_says_no if {
	outside := {"context": {"zone": "sase", "underlay": "home"}}
	given.reasons(given.section_terminal, outside) == ["TAKEOUT_NOT_ALLOWED"]
	changes := given.with_facts(outside, {"resource": {"group": "server_admin"}})
	given.reasons(given.section_terminal, changes) == ["TAKEOUT_NOT_ALLOWED"]
}

test_a_business_system_before_its_cut_over_asks_for_screen_transfer if {
	before := {"resource": {"segment": "lgwan"}}
	given.reasons(given.business_system, before) == ["SEGMENT_NOT_YET_MOVED"]
	by_screen := given.with_facts(before, {"action": {"name": "screen_transfer"}})
	given.decision(given.business_system, by_screen) == {
		"outcome": "limit",
		"reasons": ["OK_SCREEN_TRANSFER"],
		"obligations": {"clipboard": "off", "print": "off", "save": "off", "screen_transfer_only": "on"},
	}
}

test_take_out_is_reported_before_the_cut_over if {
	changes := {
		"device": {"takeout": "not_permitted"},
		"resource": {"segment": "lgwan"},
		"context": {"zone": "sase"},
	}
	given.reasons(given.business_system, changes) == ["TAKEOUT_NOT_ALLOWED"]
}

test_the_segment_of_other_groups_is_not_judged if {
	given.outcome(given.server_admin, {"resource": {"segment": "lgwan"}}) == "allow"
}
