package pdp.posture_test

import data.pdp.fixtures_test as given

test_an_organisation_device_shows_its_certificate if {
	every value in [false, "unknown"] {
		given.reasons(given.office, given.posture({"certificate": value})) == ["CERTIFICATE_MISSING"]
		given.reasons(given.municipality, given.posture({"certificate": value})) == ["CERTIFICATE_MISSING"]
	}
}

test_a_tampered_device_is_refused_whatever_its_class if {
	every start in [given.office, given.phone, given.maintenance] {
		given.reasons(start, given.posture({"tampered": true})) == ["DEVICE_TAMPERED"]
		given.reasons(start, given.posture({"tampered": "unknown"})) == ["POSTURE_UNKNOWN"]
	}
}

test_a_quarantined_device_is_refused if {
	given.reasons(given.office, {"device": {"state": "quarantined"}}) == ["DEVICE_QUARANTINED"]
}

test_a_disk_that_is_not_encrypted if {
	every value in [false, "unknown"] {
		given.reasons(given.home, given.posture({"disk_encrypted": value})) == ["DISK_NOT_ENCRYPTED"]
		given.reasons(given.business_system, given.posture({"disk_encrypted": value})) == ["DISK_NOT_ENCRYPTED"]
		given.decision(given.office, given.posture({"disk_encrypted": value})) == {
			"outcome": "allow",
			"reasons": ["OK", "DISK_NOT_ENCRYPTED_WARN"],
			"obligations": {"warn": "DISK_NOT_ENCRYPTED_WARN"},
		}
	}
}
