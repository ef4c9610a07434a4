package pdp.permits_test

import data.pdp.fixtures_test as given

test_a_resource_that_names_departments_is_for_them if {
	given.reasons(given.office, {"resource": {"departments": ["kankyo", "bousai"]}}) == ["NOT_IN_SECTION"]
	given.outcome(given.office, {"resource": {"departments": ["kankyo", "soumu"]}}) == "allow"
}

test_departments_bind_everyone if {
	every start in [given.maintenance, given.municipality, given.help_desk, given.disaster] {
		given.reasons(start, {"resource": {"departments": ["kankyo"]}}) == ["NOT_IN_SECTION"]
	}
}

test_somebody_without_a_post_is_in_no_section if {
	changes := {"subject": {"departments": []}, "resource": {"departments": ["soumu"]}}
	given.reasons(given.office, changes) == ["NOT_IN_SECTION"]
}

test_a_section_terminal_needs_a_system_of_its_own_department if {
	every start in [given.business_system, given.lgwan_system] {
		every departments in [[], ["kankyo"]] {
			changes := {"device": {"class": "section_pc"}, "resource": {"departments": departments}}
			given.reasons(start, changes) == ["NOT_IN_SECTION"]
		}
		own := {"device": {"class": "section_pc"}, "resource": {"departments": ["soumu"]}}
		given.outcome(start, own) in {"allow", "limit"}
	}
}

test_roles_that_a_cell_asks_for if {
	given.reasons(given.server_admin, {"subject": {"roles": ["account_admin"]}}) == ["ROLE_REQUIRED"]
	accounts := {"subject": {"auth_level": 3}, "resource": {"group": "account_admin"}}
	given.reasons(given.office, accounts) == ["ROLE_REQUIRED"]
	given.reasons(given.section_terminal, {"resource": {"group": "data"}}) == ["ROLE_REQUIRED"]
	with_role := {"subject": {"roles": ["x", "data_user"]}, "resource": {"group": "data"}}
	given.outcome(given.section_terminal, with_role) == "allow"
}

test_maintenance_needs_no_role if given.outcome(given.maintenance, {"subject": {"roles": []}}) == "limit"

test_a_municipality_reads_its_own_data if {
	given.reasons(given.municipality, {}) == ["OK_FEDERATED"]
	given.reasons(given.municipality, {"resource": {"organisations": ["mie", "ise"]}}) == ["ORG_SCOPE"]
	given.reasons(given.municipality, {"subject": {"identity_source": "integrated"}}) == ["ORG_SCOPE"]
}

test_organisations_bind_municipal_terminals_only if {
	given.outcome(given.office, {"resource": {"group": "data", "organisations": ["tsu"]}}) == "allow"
}

test_the_tenant_of_somebody_else if {
	given.reasons(given.office, {"resource": {"tenant": "other"}}) == ["TENANT_NOT_ALLOWED"]
}
