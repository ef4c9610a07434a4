# What goes with an answer, name by name. A step-up carries none: nothing has been opened yet.
package pdp.obligations

import data.pdp.facts.edr_absent
import data.pdp.facts.emergency
import data.pdp.facts.parameters
import data.pdp.facts.shared_terminal
import data.pdp.limits.of_place as limits
import data.pdp.matrix.cell
import data.pdp.outcome.first_warning

on_allow[name] := value if some name, value in limits

on_allow["session_max_minutes"] := parameters.shared_session_minutes if shared_terminal

on_allow["end_at"] := input.context.work_permit_until if {
	cell.permit == "work"
	input.context.work_permit_until != "none"
}

on_allow["alert"] := "admins" if emergency

on_allow["warn"] := first_warning

# True where something other than a warning goes with the answer, so that it is `limit` and not `allow`.
limiting if {
	some name, _ in on_allow
	name != "warn"
}

on_deny["terminate_sessions"] := "on" if ends_sessions

on_deny["wipe"] := "request" if reported("DEVICE_LOST")

on_deny["quarantine"] := "on" if dangerous_device

ends_sessions if {
	some code in {"DEVICE_LOST", "IMPOSSIBLE_TRAVEL", "IMPERSONATION", "MALWARE_ALERT"}
	reported(code)
}

dangerous_device if reported("EDR_RISK_HIGH")

# A terminal that never had an EDR is refused, not quarantined.
dangerous_device if {
	reported("EDR_NOT_RUNNING")
	not edr_absent
}

reported(code) if code in data.pdp.denying
