package pdp.posture_test

import data.pdp.fixtures_test as given

sick := given.posture({
	"certificate": false, "disk_encrypted": false, "edr_running": false, "edr_risk": "high",
	"tampered": "unknown", "patch_age_days": "unknown", "age_hours": 240,
})

test_a_sick_terminal_reaches_the_help_desk if {
	given.decision(given.help_desk, sick) == {"outcome": "allow", "reasons": ["OK"], "obligations": {}}
	given.outcome(given.help_desk, {"device": {"state": "quarantined"}}) == "allow"
	given.outcome(given.help_desk, {"context": {"sources": {"posture": "unavailable"}}}) == "allow"
}

test_the_help_desk_judges_everything_but_posture if {
	given.reasons(given.help_desk, {"context": {"risk": ["malware_alert"]}}) == ["MALWARE_ALERT"]
	given.reasons(given.help_desk, {"resource": {"tenant": "other"}}) == ["TENANT_NOT_ALLOWED"]
}

test_nothing_of_this_is_asked_of_a_private_device if {
	careless := given.posture({
		"certificate": false, "disk_encrypted": false, "edr_running": false,
		"edr_risk": "high", "patch_age_days": 400,
	})
	given.decision(given.phone, careless) == given.decision(given.phone, {})
}
