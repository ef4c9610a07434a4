# The whole matrix of section 4, cell by cell, written a second time and independently of policies/data.
package pdp.matrix_test

import data.pdp.fixtures_test as given

x := "DEVICE_CLASS"

b := "BYOD_SCOPE"

t := "TAKEOUT_NOT_ALLOWED"

s := "SEGMENT_SEPARATED"

columns := [
	["managed_pc", "office"], ["managed_pc", "sase"], ["section_pc", "office"], ["section_pc", "sase"],
	["mobile_pc", "office"], ["mobile_pc", "sase"], ["byod_phone", "public"], ["byod_tablet", "public"],
	["byod_pc", "office"], ["maintenance_pc", "office"], ["maintenance_pc", "ip_vpn"],
	["municipal_pc", "security_cloud"], ["mynumber_terminal", "office"], ["mynumber_terminal", "sase"],
	["unknown", "office"], ["byod_phone", "office"], ["byod_tablet", "office"], ["byod_pc", "public"],
	["municipal_pc", "office"],
]

# managed      section mobile phone tablet pc maintenance municipal mynumber unknown phone tablet pc  municipal
# in out       in out  in out out   out    in in vpn      out       in out           in    in     out in
table := {
	"communication": [2, 2, 2, t, 2, 2, 2, 2, 2, x, x, x, x, x, x, 2, 2, 2, x],
	"no_code": [2, 3, 2, t, 3, 3, b, b, b, x, x, x, x, x, x, b, b, b, x],
	"internet": [1, 2, 1, t, 2, 2, b, b, b, x, x, x, x, x, x, b, b, b, x],
	"business": [2, 3, 2, t, 3, 3, b, b, b, x, x, x, x, x, x, b, b, b, x],
	"data": [2, 3, 2, t, 3, 3, b, b, b, x, x, 2, x, x, x, b, b, b, 2],
	"lgwan": [2, 3, 2, t, 3, 3, b, b, b, x, x, x, x, x, x, b, b, b, x],
	"mynumber": [s, s, s, s, s, s, s, s, s, s, s, s, 2, x, s, s, s, s, s],
	"server_admin": [3, 3, x, t, x, x, b, b, b, x, 3, x, x, x, x, b, b, b, x],
	"account_admin": [3, x, x, t, x, x, b, b, b, x, x, x, x, x, x, b, b, b, x],
	"home_working": [x, x, x, t, x, x, b, 2, 2, x, x, x, x, x, x, b, 2, 2, x],
	"disaster": [2, 2, 2, t, 2, 2, b, b, b, x, x, x, x, x, x, b, b, b, x],
	"remediation": [1, 1, 1, t, 1, 1, b, b, b, x, x, x, x, x, x, b, b, b, x],
	"legacy": [1, x, 1, t, 2, 2, b, b, b, x, x, x, x, x, x, b, b, b, x],
	"legacy, read-only": [2, x, x, t, x, x, b, b, b, x, x, x, x, x, x, b, b, b, x],
	"business before its cut-over": [2, 3, 2, t, 3, 3, b, b, b, x, x, x, x, x, x, b, b, b, x],
}

# Where the row says more than a group. All else that a cell may ask for is granted below.
special := {
	"legacy, read-only": {"resource": {"group": "legacy", "status": "readonly"}, "action": {"name": "read"}},
	"business before its cut-over": {
		"resource": {"group": "business", "segment": "lgwan"},
		"action": {"name": "screen_transfer"},
	},
	"lgwan": {"resource": {"group": "lgwan", "segment": "lgwan"}, "action": {"name": "screen_transfer"}},
	"home_working": {"resource": {"group": "home_working"}, "action": {"name": "screen_transfer"}},
}

granted := given.with_facts(given.home, {
	"subject": {"identity_source": "federated", "roles": ["server_admin", "account_admin", "data_user"]},
	"device": {"loan": "valid", "permit": "valid"},
	"resource": {"segment": "internet", "departments": ["soumu"]},
	"context": {"work_permit": "valid", "work_permit_until": "2023-08-07T02:00:00+09:00"},
})

request(row, column, level) := object.union_n([
	granted,
	{"subject": {"auth_level": level}, "device": {"class": column[0]}, "context": {"zone": column[1]}},
	object.get(special, row, {"resource": {"group": row}}),
])

answers(level) := [[row, column, expected, answer] |
	some row, cells in table
	some i, expected in cells
	column := columns[i]
	answer := data.pdp.decision with input as request(row, column, level)
]

test_every_cross_gives_its_code_and_no_other if {
	every entry in answers(3) { crossed_as_expected(entry[2], entry[3]) }
}

crossed_as_expected(expected, _) if is_number(expected)

crossed_as_expected(expected, answer) if answer.reasons == [expected]

test_every_open_cell_is_open_at_its_level if {
	every level in [1, 2, 3] {
		every entry in answers(level) { open_as_expected(entry[2], level, entry[3].outcome) }
	}
}

open_as_expected(expected, _, _) if is_string(expected)

open_as_expected(expected, level, outcome) if {
	level >= expected
	outcome in {"allow", "limit"}
}

open_as_expected(expected, level, outcome) if {
	level < expected
	outcome == "step_up"
}

test_every_open_cell_names_its_level_in_the_step_up if {
	every entry in answers(0) { asked_as_expected(entry[2], entry[3]) }
}

asked_as_expected(expected, _) if is_string(expected)

asked_as_expected(expected, answer) if {
	answer.reasons == ["STEPUP_AUTH_STRENGTH"]
	answer.required_auth_level == expected
}

# A cell of screen transfer is nothing else, wherever it stands.
test_what_is_behind_screen_transfer_is_reached_by_nothing_else if {
	every entry in [[row, column] |
		some row in ["lgwan", "home_working"]
		some i, expected in table[row]
		is_number(expected)
		column := columns[i]
	] {
		asked := object.union(request(entry[0], entry[1], 3), {"action": {"name": "access"}})
		answer := data.pdp.decision with input as asked
		"SCREEN_TRANSFER_REQUIRED" in answer.reasons
	}
}

test_a_municipal_terminal_is_bound_to_its_organisation_in_the_office_too if {
	given.reasons(given.municipality, {
		"resource": {"organisations": ["ise"]},
		"context": {"zone": "office"},
	}) == ["ORG_SCOPE"]
}

test_outside_is_every_zone_but_the_office if {
	every zone in ["sase", "ip_vpn", "carrier", "security_cloud", "public"] {
		given.decision(given.business_system, {"context": {"zone": zone}}).required_auth_level == 3
	}
}

test_a_zone_that_nobody_knows_opens_nothing if {
	given.reasons(given.office, {"context": {"zone": "moon"}}) == ["DEVICE_CLASS"]
}
