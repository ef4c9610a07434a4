# What the tests start from. Each test changes only the facts that it is about.
package pdp.fixtures_test

healthy := {
	"certificate": true, "disk_encrypted": true, "edr_running": true, "edr_risk": "none", "av_current": true,
	"firewall": true, "screen_lock": true, "tampered": false, "patch_age_days": 3, "age_hours": 1, "source": "asset",
}

# A member of staff on her healthy terminal in the office, on the groupware: allowed.
office := {
	"schema": "pdp.input/v1",
	"subject": {
		"id": "u-1", "kind": "staff", "organisation": "mie", "departments": ["soumu"], "roles": [],
		"employment": "active", "identity_source": "integrated", "auth_level": 2, "auth_age_min": 12,
	},
	"device": {
		"id": "d-1", "class": "managed_pc", "ownership": "organisation", "registered": true, "shared": false,
		"relation": "own", "loan": "none", "permit": "none", "takeout": "permitted", "state": "in_service",
		"returned_from_outside": false, "posture": healthy,
	},
	"resource": {
		"id": "groupware", "group": "communication", "segment": "cloud", "status": "in_service",
		"departments": [], "organisations": ["mie"], "sensitivity": 2, "tenant": "own",
	},
	"action": {"name": "access"},
	"context": {
		"zone": "office", "underlay": "office", "path_encrypted": true, "country": "JP",
		"business_day": true, "business_hours": true, "risk": [],
		"work_permit": "none", "work_permit_until": "none", "disaster_mode": false,
		"sources": {"posture": "ok", "identity": "ok"},
		"pep": ["clipboard", "print", "save", "download", "browser_only", "record_session"],
	},
}

# Other places to start from, each allowed as it stands.
home := with_facts(office, {"context": {"zone": "sase", "underlay": "home"}})

section_terminal := with_facts(office, {"device": {"class": "section_pc", "relation": "pool", "takeout": "unknown"}})

mobile_terminal := with_facts(home, {"device": {"class": "mobile_pc", "relation": "pool", "loan": "valid"}})

phone := with_facts(home, {"device": {
	"class": "byod_phone", "ownership": "private", "permit": "valid", "takeout": "unknown",
	"posture": {
		"certificate": "unknown", "disk_encrypted": "unknown", "edr_running": "unknown", "edr_risk": "unknown",
		"patch_age_days": "unknown",
	},
}})

private_pc := with_facts(phone, {"device": {"class": "byod_pc"}})

business_system := with_facts(office, {"resource": {"id": "finance", "group": "business", "segment": "internet"}})

lgwan_system := with_facts(office, {
	"resource": {"id": "lgwan-asp", "group": "lgwan", "segment": "lgwan"},
	"action": {"name": "screen_transfer"},
})

help_desk := with_facts(office, {"resource": {"id": "help-desk", "group": "remediation", "segment": "internet"}})

maintenance := with_facts(office, {
	"subject": {"kind": "contractor", "identity_source": "federated", "auth_level": 3},
	"device": {"class": "maintenance_pc"},
	"resource": {"id": "consolidated-server-x", "group": "server_admin", "segment": "internet"},
	"action": {"name": "administer"},
	"context": {
		"zone": "ip_vpn", "underlay": "unknown",
		"work_permit": "valid", "work_permit_until": "2023-08-07T02:00:00+09:00",
	},
})

server_admin := with_facts(office, {
	"subject": {"roles": ["server_admin"], "auth_level": 3},
	"resource": {"id": "consolidated-server-x", "group": "server_admin", "segment": "internet"},
})

municipality := with_facts(office, {
	"subject": {"kind": "municipal_staff", "organisation": "tsu", "identity_source": "federated"},
	"device": {"class": "municipal_pc"},
	"resource": {"id": "data-tsu", "group": "data", "organisations": ["tsu"]},
	"context": {"zone": "security_cloud"},
})

disaster := with_facts(home, {
	"subject": {"roles": ["disaster_response"]},
	"resource": {"id": "disaster-system", "group": "disaster", "segment": "internet"},
	"context": {"disaster_mode": true},
})

with_facts(start, changes) := object.union(start, changes)

decision(start, changes) := answer if {
	answer := data.pdp.decision with input as with_facts(start, changes)
}

outcome(start, changes) := decision(start, changes).outcome

reasons(start, changes) := decision(start, changes).reasons

obligations(start, changes) := decision(start, changes).obligations

posture(changes) := {"device": {"posture": changes}}
