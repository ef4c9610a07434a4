# What goes with an answer, name by name. A step-up carries none: nothing has been opened yet.
package pdp.obligations

import data.pdp.facts
import data.pdp.limits
import data.pdp.matrix
import data.pdp.outcome
import data.zta.parameters

on_allow[name] := value if some name, value in limits.all

on_allow["session_max_minutes"] := parameters.shared_session_minutes if facts.shared_terminal

on_allow["end_at"] := input.context.work_permit_until if {
	matrix.cell.permit == "work"
	input.context.work_permit_until != "none"
}

on_allow["alert"] := "admins" if facts.emergency

on_allow["warn"] := outcome.warnings[0]

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
	not facts.edr_absent
}

reported(code) if code in data.pdp.denying
