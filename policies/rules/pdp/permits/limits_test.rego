package pdp.permits_test

import data.pdp.fixtures_test as given

test_screen_transfer_places_refuse_every_other_action if {
	given.reasons(given.lgwan_system, {"action": {"name": "access"}}) == ["SCREEN_TRANSFER_REQUIRED"]
}

test_a_read_only_system_of_any_group_is_read_only if {
	every group in ["communication", "business", "internet"] {
		changes := {"resource": {"group": group, "segment": "internet", "status": "readonly"}}
		given.reasons(given.office, changes) == ["READ_ONLY"]
		given.outcome(given.office, given.with_facts(changes, {"action": {"name": "read"}})) == "allow"
	}
}

# Each place and the words that its limits need of the enforcement point.
needs := [
	[given.phone, {"clipboard", "save"}],
	[given.private_pc, {"clipboard", "save", "browser_only", "download", "print"}],
	[given.lgwan_system, {"clipboard", "print", "save"}],
	[given.maintenance, {"record_session"}],
	[given.with_facts(given.office, {"subject": {"kind": "emergency_account"}}), {"record_session"}],
	[given.with_facts(given.section_terminal, given.posture({"edr_running": "not_managed"})), {"browser_only"}],
]

test_exactly_the_words_needed_suffice if {
	every need in needs {
		given.outcome(need[0], {"context": {"pep": [word | some word in need[1]]}}) == "limit"
	}
}

test_one_word_too_few_denies if {
	every need in needs {
		every missing in need[1] {
			words := [word | some word in need[1]; word != missing]
			given.reasons(need[0], {"context": {"pep": words}}) == ["PEP_CANNOT_ENFORCE"]
		}
	}
}

test_recording_is_required_whether_or_not_the_work_permit_is_valid if {
	changes := {"context": {"work_permit": "none", "pep": []}}
	given.reasons(given.maintenance, changes) == ["WORK_PERMIT_MISSING", "PEP_CANNOT_ENFORCE"]
}

test_an_enforcement_point_needs_no_word_for_a_session_limit if {
	given.outcome(given.section_terminal, {"device": {"shared": true}, "context": {"pep": []}}) == "limit"
}
