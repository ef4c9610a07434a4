package pdp.permits_test

import data.pdp.fixtures_test as given

test_a_private_device_needs_a_permit if {
	given.reasons(given.phone, {"device": {"permit": "none"}}) == ["PERMIT_MISSING"]
	given.reasons(given.phone, {"device": {"permit": "expired"}}) == ["PERMIT_EXPIRED"]
	given.reasons(given.phone, {"device": {"permit": "held"}}) == ["PERMIT_HELD"]
}

test_the_home_working_system_asks_for_the_permit_too if {
	changes := {
		"device": {"permit": "none"},
		"resource": {"group": "home_working"},
		"action": {"name": "screen_transfer"},
	}
	given.reasons(given.private_pc, changes) == ["PERMIT_MISSING"]
}

test_a_mobile_terminal_goes_by_its_loan if {
	given.reasons(given.mobile_terminal, {"device": {"loan": "none"}}) == ["LOAN_MISSING"]
	given.reasons(given.mobile_terminal, {"device": {"loan": "mismatch"}}) == ["LOAN_MISMATCH"]
	given.reasons(given.mobile_terminal, {"device": {"loan": "expired"}}) == ["LOAN_EXPIRED"]
	given.outcome(given.mobile_terminal, {"device": {"relation": "assigned_to_other"}}) == "allow"
}

test_a_personal_terminal_is_used_by_its_owner_alone if {
	every start in [given.office, given.phone, given.maintenance, given.municipality] {
		every relation in ["assigned_to_other", "pool", "none"] {
			given.reasons(start, {"device": {"relation": relation}}) == ["DEVICE_OF_OTHER_USER"]
		}
	}
}

test_a_section_terminal_is_a_pool if {
	every relation in ["pool", "own", "none", "assigned_to_other"] {
		given.outcome(given.section_terminal, {"device": {"relation": relation}}) == "allow"
	}
}

test_every_missing_permit_is_reported if {
	changes := {
		"device": {"permit": "held", "relation": "none"},
		"resource": {"tenant": "other", "departments": ["kankyo"]},
		"context": {"pep": []},
	}
	given.reasons(given.phone, changes) == [
		"PERMIT_HELD", "DEVICE_OF_OTHER_USER", "NOT_IN_SECTION",
		"TENANT_NOT_ALLOWED", "PEP_CANNOT_ENFORCE",
	]
}
