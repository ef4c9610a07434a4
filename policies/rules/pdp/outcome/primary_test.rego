package pdp.outcome_test

import data.pdp.fixtures_test as given

disaster := {"subject": {"roles": ["disaster_response"]}, "context": {"disaster_mode": true}}

test_the_emergency_account_comes_first if {
	changes := {"subject": {"kind": "emergency_account", "identity_source": "federated"}}
	given.reasons(given.home, changes) == ["BREAK_GLASS"]
}

test_disaster_comes_before_what_the_device_is if {
	given.reasons(given.phone, disaster) == ["OK_DISASTER"]
	given.reasons(given.mobile_terminal, disaster) == ["OK_DISASTER"]
}

test_maintenance_comes_before_federation if given.reasons(given.maintenance, {}) == ["OK_MAINTENANCE"]

test_federation_comes_before_the_device if {
	given.reasons(given.phone, {"subject": {"identity_source": "federated"}}) == ["OK_FEDERATED"]
}

test_a_private_device_on_communication if {
	given.reasons(given.phone, {}) == ["OK_BYOD_COMMUNICATION"]
	given.reasons(given.private_pc, {}) == ["OK_BYOD_COMMUNICATION"]
}

test_a_private_device_elsewhere_is_screen_transfer if {
	changes := {"resource": {"group": "home_working"}, "action": {"name": "screen_transfer"}}
	given.reasons(given.private_pc, changes) == ["OK_SCREEN_TRANSFER"]
}

test_screen_transfer_comes_before_the_loan if {
	changes := {
		"subject": {"auth_level": 3},
		"resource": {"group": "lgwan", "segment": "lgwan"},
		"action": {"name": "screen_transfer"},
	}
	given.reasons(given.mobile_terminal, changes) == ["OK_SCREEN_TRANSFER"]
}

test_the_action_alone_does_not_make_a_screen_transfer if {
	given.decision(given.office, {"action": {"name": "screen_transfer"}}) == given.decision(given.office, {})
}

test_a_legacy_system_to_read if {
	changes := {"resource": {"group": "legacy", "segment": "lgwan", "status": "readonly"}, "action": {"name": "read"}}
	given.decision(given.office, changes) == {"outcome": "allow", "reasons": ["LEGACY_READONLY"], "obligations": {}}
	given.reasons(given.office, given.with_facts(changes, {"action": {"name": "write"}})) == ["READ_ONLY"]
}

test_a_mobile_terminal_on_loan_wherever_it_is if {
	given.reasons(given.mobile_terminal, {}) == ["OK_LOAN"]
	given.reasons(given.mobile_terminal, {"context": {"zone": "office"}}) == ["OK_LOAN"]
}

test_a_shared_section_terminal if {
	given.reasons(given.section_terminal, {"device": {"shared": true}}) == ["OK_SHARED_TERMINAL"]
	given.reasons(given.section_terminal, {}) == ["OK"]
}

test_a_concurrent_post_where_the_main_post_is_not_named if {
	posts := {"subject": {"departments": ["kankyo", "soumu"]}, "resource": {"departments": ["soumu"]}}
	given.reasons(given.office, posts) == ["OK_CONCURRENT_POST"]
	both := given.with_facts(posts, {"resource": {"departments": ["soumu", "kankyo"]}})
	given.reasons(given.office, both) == ["OK"]
	given.reasons(given.home, posts) == ["OK_CONCURRENT_POST"]
}

test_outside_is_remote if given.reasons(given.home, {}) == ["OK_REMOTE"]
