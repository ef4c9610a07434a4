package pdp.lifecycle_test

import data.pdp.fixtures_test as given

test_a_leaver_is_out if given.reasons(given.office, {"subject": {"employment": "ended"}}) == ["ACCOUNT_EXPIRED"]

test_a_newcomer_is_not_in_yet if {
	given.reasons(given.office, {"subject": {"employment": "not_started"}}) == ["ACCOUNT_EXPIRED"]
}

test_somebody_on_leave_is_suspended if {
	given.reasons(given.office, {"subject": {"employment": "suspended"}}) == ["ACCOUNT_SUSPENDED"]
}

test_fixed_term_staff_end_with_their_appointment if {
	changes := {"subject": {"kind": "fixed_term_staff", "employment": "ended"}}
	given.reasons(given.office, changes) == ["APPOINTMENT_ENDED"]
}

test_contractors_end_with_their_contract if {
	given.reasons(given.maintenance, {"subject": {"employment": "not_started"}}) == ["CONTRACT_ENDED"]
}

test_a_shared_account_is_never_allowed if {
	given.reasons(given.office, {"subject": {"kind": "shared_account"}}) == ["SHARED_ACCOUNT"]
}

test_an_ended_shared_account_is_both if {
	changes := {"subject": {"kind": "shared_account", "employment": "ended"}}
	given.reasons(given.office, changes) == ["ACCOUNT_EXPIRED", "SHARED_ACCOUNT"]
}

test_nobody_whom_no_identity_source_knows if {
	given.reasons(given.office, {"subject": {"identity_source": "none"}}) == ["IDENTITY_SOURCE_UNKNOWN"]
	given.reasons(given.office, {"subject": {"kind": "unknown"}}) == ["IDENTITY_SOURCE_UNKNOWN"]
}

test_the_employment_of_somebody_unknown_is_not_judged if {
	every employment in ["ended", "suspended"] {
		changes := {"subject": {"kind": "unknown", "employment": employment}}
		given.reasons(given.office, changes) == ["IDENTITY_SOURCE_UNKNOWN"]
	}
}
