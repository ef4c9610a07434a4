# What several groups ask about the request. Each helper is true only where the fact is known to be so.
package pdp.facts

# data/parameters.yaml. The others import it from here, because the embedded engine then reads it once per decision.
parameters := data.zta.parameters

in_office if input.context.zone == "office"

# Every zone but the office, by name: a zone that is missing is nowhere, and nothing is allowed from nowhere.
outside if input.context.zone in {"sase", "ip_vpn", "carrier", "security_cloud", "public"}

private_device if input.device.class in {"byod_phone", "byod_tablet", "byod_pc"}

emergency if input.subject.kind == "emergency_account"

federated if input.subject.identity_source == "federated"

screen_transfer if input.action.name == "screen_transfer"

shared_terminal if {
	input.device.class == "section_pc"
	not used_by_one
}

used_by_one if input.device.shared == false

# The register says that this terminal has no EDR agent; an agent that is stopped or silent is another matter.
edr_absent if input.device.posture.edr_running == "not_managed"

edr_state_known if input.device.posture.edr_running in {true, false, "not_managed"}

# The one place where a terminal without an EDR is tolerated, limited to the browser.
edr_absence_tolerated if {
	edr_absent
	edr_absence_place
}

edr_absence_place if {
	input.device.class == "section_pc"
	in_office
	input.resource.group in parameters.edr_absent_in_office
}

default auth_level := 0

auth_level := input.subject.auth_level if is_number(input.subject.auth_level)

# One level more than the cell asks for, up to the highest there is.
one_level_more(level) := min([level + 1, parameters.highest_auth_level])
