package pdp.permits_test

import data.pdp.fixtures_test as given

codes_of_work_permits := {
	"none": "WORK_PERMIT_MISSING",
	"out_of_window": "OUT_OF_WINDOW",
	"out_of_scope": "OUT_OF_SCOPE",
	"not_named": "NOT_NAMED",
}

test_maintenance_goes_by_its_work_permit if {
	every permit, code in codes_of_work_permits {
		given.reasons(given.maintenance, {"context": {"work_permit": permit}}) == [code]
	}
}

test_an_administrator_outside_needs_role_and_work_permit if {
	outside := {"context": {"zone": "sase", "underlay": "home"}}
	given.reasons(given.server_admin, outside) == ["WORK_PERMIT_MISSING"]
	nothing := given.with_facts(outside, {"subject": {"roles": []}})
	given.reasons(given.server_admin, nothing) == ["ROLE_REQUIRED", "WORK_PERMIT_MISSING"]
	permitted := given.with_facts(outside, {"context": {"work_permit": "valid"}})
	given.reasons(given.server_admin, permitted) == ["OK_MAINTENANCE"]
}

test_an_administrator_in_the_office_needs_none if {
	given.decision(given.server_admin, {"context": {"work_permit": "not_named"}}).reasons == ["OK"]
}
