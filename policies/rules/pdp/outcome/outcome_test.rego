package pdp.outcome_test

import data.pdp.fixtures_test as given

test_the_hour_alone_never_denies_but_is_marked if {
	every facts in [{"business_day": false}, {"business_hours": false}] {
		given.decision(given.office, {"context": facts}) == {
			"outcome": "allow",
			"reasons": ["OK", "OK_AFTER_HOURS"],
			"obligations": {},
		}
	}
}

test_warnings_come_before_the_hour if {
	changes := {
		"device": {"posture": {"patch_age_days": 20, "disk_encrypted": false}},
		"context": {"business_day": false},
	}
	given.decision(given.office, changes) == {
		"outcome": "allow",
		"reasons": ["OK", "PATCH_OVERDUE_WARN", "DISK_NOT_ENCRYPTED_WARN", "OK_AFTER_HOURS"],
		"obligations": {"warn": "PATCH_OVERDUE_WARN"},
	}
}

test_a_private_device_gets_no_warning_about_its_disk if {
	given.reasons(given.phone, {}) == ["OK_BYOD_COMMUNICATION"]
}
