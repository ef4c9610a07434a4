package pdp.context_test

import data.pdp.fixtures_test as given

test_outside_the_path_must_be_known_to_be_encrypted if {
	every value in [false, "unknown"] {
		given.reasons(given.home, {"context": {"path_encrypted": value}}) == ["PATH_NOT_PROTECTED"]
		given.outcome(given.office, {"context": {"path_encrypted": value}}) == "allow"
	}
}

test_outside_the_country_must_be_an_allowed_one if {
	every value in ["US", "unknown"] {
		given.reasons(given.home, {"context": {"country": value}}) == ["COUNTRY_NOT_ALLOWED"]
		given.outcome(given.office, {"context": {"country": value}}) == "allow"
	}
}

web_from(underlay, level) := {
	"subject": {"auth_level": level},
	"resource": {"group": "internet", "segment": "internet"},
	"context": {"underlay": underlay},
}

test_an_untrusted_network_asks_one_level_more if {
	every underlay in ["public_wifi", "unknown"] {
		answer := given.decision(given.home, web_from(underlay, 2))
		[answer.reasons, answer.required_auth_level] == [["UNTRUSTED_NETWORK"], 3]
		given.reasons(given.home, web_from(underlay, 3)) == ["OK_REMOTE"]
	}
}

test_a_trusted_network_asks_for_nothing if {
	every underlay in ["office", "home", "carrier"] {
		given.reasons(given.home, web_from(underlay, 2)) == ["OK_REMOTE"]
	}
}

test_communication_is_excepted_from_the_untrusted_network if {
	given.reasons(given.home, {"context": {"underlay": "public_wifi"}}) == ["OK_REMOTE"]
}

test_the_network_under_the_office_is_not_judged if {
	changes := {"resource": {"group": "internet"}, "context": {"underlay": "public_wifi"}}
	given.reasons(given.office, changes) == ["OK"]
}

test_a_bulk_download_asks_for_level_3 if {
	unusual := {"context": {"risk": ["bulk_download"]}}
	given.reasons(given.office, unusual) == ["UNUSUAL_USE"]
	given.reasons(given.office, given.with_facts(unusual, {"subject": {"auth_level": 3}})) == ["OK"]
}

test_signals_of_misuse_deny_and_end_the_sessions if {
	every signal, code in {
		"impossible_travel": "IMPOSSIBLE_TRAVEL",
		"impersonation": "IMPERSONATION",
		"malware_alert": "MALWARE_ALERT",
	} {
		given.decision(given.office, {"context": {"risk": ["bulk_download", signal]}}) == {
			"outcome": "deny",
			"reasons": [code],
			"obligations": {"terminate_sessions": "on"},
		}
	}
}

test_everything_about_the_context_is_reported_in_order if {
	changes := {"context": {
		"path_encrypted": false, "country": "US",
		"risk": ["malware_alert", "impersonation", "impossible_travel"],
	}}
	given.reasons(given.home, changes) == [
		"PATH_NOT_PROTECTED", "IMPOSSIBLE_TRAVEL", "IMPERSONATION",
		"MALWARE_ALERT", "COUNTRY_NOT_ALLOWED",
	]
}
