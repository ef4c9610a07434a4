# Guards policies/data: a slip of the pen there must not reach production.
package pdp.data_test

import data.zta

test_every_parameter_is_there if {
	missing := {
		"patch_warn_days", "patch_deny_days", "patch_one_level_more", "posture_stale_hours", "posture_degraded_hours",
		"posture_degraded_as_usual", "posture_degraded_deny", "posture_degraded_level", "edr_medium_level",
		"disk_warn_in_office", "edr_absent_in_office", "posture_not_judged", "trusted_underlays",
		"untrusted_network_excepted", "allowed_countries", "unusual_use_level", "highest_auth_level",
		"shared_session_minutes", "disaster_role", "disaster_kinds", "disaster_groups",
		"disaster_auth_level", "own_tenants",
	} - object.keys(zta.parameters)
	missing == set()
}

test_every_level_asked_for_is_one_that_exists if {
	every name in ["posture_degraded_level", "edr_medium_level", "unusual_use_level", "disaster_auth_level"] {
		zta.parameters[name] in {1, 2, 3}
	}
}

test_the_patch_deadline_comes_after_the_warning if zta.parameters.patch_warn_days < zta.parameters.patch_deny_days

cells := [[row, class, place, cell] |
	some row, classes in zta.matrix.rows
	some class, places in classes
	some place, cell in places
]

test_every_cell_has_a_level_from_1_to_3 if {
	every entry in cells { entry[3].level in {1, 2, 3} }
}

test_cells_say_nothing_that_no_rule_reads if {
	every entry in cells {
		object.keys(entry[3]) - {"level", "role", "scope", "permit", "screen_transfer", "limits"} == set()
		object.get(entry[3], "scope", "department") in {"department", "organisation"}
		object.get(entry[3], "permit", "work") == "work"
		object.get(entry[3], "screen_transfer", true) == true
	}
}

test_every_limit_of_a_cell_is_described if {
	every entry in cells { object.get(entry[3], "limits", "recording") in object.keys(zta.matrix.limits) }
}

test_places_are_zones if {
	every entry in cells { entry[2] in {"office", "outside", "sase", "ip_vpn", "carrier", "security_cloud", "public"} }
}

test_limits_are_words_and_not_booleans if {
	every set_of_limits in zta.matrix.limits {
		every value in set_of_limits { value in {"on", "off"} }
	}
}

test_private_devices_are_always_limited if {
	every entry in cells { limited_if_private(entry[1], entry[3]) }
}

limited_if_private(class, _) if not startswith(class, "byod_")

limited_if_private(_, cell) if cell.limits

limited_if_private(_, cell) if cell.screen_transfer
