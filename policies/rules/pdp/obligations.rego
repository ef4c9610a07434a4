# What goes with an answer, name by name. A step-up carries none: nothing has been opened yet.
package pdp.obligations

import data.pdp.facts.edr_absent
import data.pdp.facts.emergency
import data.pdp.facts.parameters
import data.pdp.facts.shared_terminal
import data.pdp.limits.of_place
import data.pdp.matrix.cell
import data.pdp.outcome.first_warning

on_allow := object.union(limiting, {"warn": first_warning}) if first_warning

else := limiting

# All but the warning make the answer `limit` instead of `allow`.
limiting := object.union(of_place, of_session)

of_session["session_max_minutes"] := parameters.shared_session_minutes if shared_terminal

of_session["end_at"] := input.context.work_permit_until if {
	cell.permit == "work"
	input.context.work_permit_until != "none"
}

of_session["alert"] := "admins" if emergency

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
