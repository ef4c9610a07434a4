# Section 3.8, disaster mode. It relaxes posture, authentication strength and context (groups 5 to 7) and nothing else;
# groups 1 to 4 never ask about it.
package pdp.disaster

import data.pdp.facts.parameters

disaster_mode if {
	input.context.disaster_mode == true
	input.subject.kind in parameters.disaster_kinds
	parameters.disaster_role in input.subject.roles
	input.resource.group in parameters.disaster_groups
}

# INVARIANT (disaster): these deny as ever, POSTURE_UNKNOWN only for the facts that posture/freshness.rego asks for in
# disaster mode. They stand here and not in policies/data, so that no data lifts them.
never_relaxed := {"DEVICE_TAMPERED", "EDR_RISK_HIGH", "POSTURE_UNKNOWN", "MALWARE_ALERT"}
