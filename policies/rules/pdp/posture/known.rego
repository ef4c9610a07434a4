# Group 5, posture: is everything known that must be. What is not known is never taken for granted.
package pdp.posture

import data.pdp.disaster.disaster_mode
import data.pdp.facts.edr_absent
import data.pdp.facts.private_device

# METADATA
# title: POSTURE_UNKNOWN
# description: a fact about the terminal that must be known is not
# custom:
#   code: POSTURE_UNKNOWN
#   group: 5
#   fix: help_desk
#   user:
#     ja: 端末の状態を確認できません
#     en: The state of this terminal cannot be confirmed.
#   admin:
#     ja: 必要な状態が未確認（tampered、edr_running、edr_risk、patch_age_days、age_hours のいずれかが unknown、または個人所有端末の screen_lock が true でない）。資産管理またはMDMの収集を確認する。
#     en: A needed fact is unknown (tampered, edr_running, edr_risk, patch_age_days or age_hours), or screen_lock of a private device is not true. Check the asset management or MDM agent.
found contains "POSTURE_UNKNOWN" if not enough_known

enough_known if {
	organisation_device
	tampering_known
	edr_risk_known
	input.device.posture.edr_running in {true, false, "not_managed"}
	is_number(input.device.posture.patch_age_days)
	age_known
}

enough_known if {
	private_device
	tampering_known
	input.device.posture.screen_lock == true
	age_known
}

# Disaster mode does without the rest.
enough_known if {
	disaster_mode
	tampering_known
	edr_risk_known
}

tampering_known if input.device.posture.tampered in {true, false}

edr_risk_known if input.device.posture.edr_risk in {"none", "low", "medium", "high"}

edr_risk_known if edr_absent

edr_risk_known if private_device

age_known if is_number(input.device.posture.age_hours)

# A terminal that awaits its re-check is stale whatever its age.
age_known if input.device.returned_from_outside == true
