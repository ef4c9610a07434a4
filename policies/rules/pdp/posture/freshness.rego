# Group 5, posture: is enough known, is it recent, does its source answer. Asked of every class.
package pdp.posture

import data.pdp.disaster.disaster_mode
import data.pdp.facts.edr_absent
import data.pdp.facts.edr_state_known
import data.pdp.facts.parameters
import data.pdp.facts.private_device

# METADATA
# title: POSTURE_STALE
# description: the posture is too old, or the terminal came back from outside and awaits its re-check
# custom:
#   code: POSTURE_STALE
#   group: 5
#   fix: help_desk
#   user:
#     ja: 端末の状態が最新ではありません
#     en: The state of this terminal is not up to date.
#   admin:
#     ja: 端末の状態が posture_stale_hours より古い（age_hours）、または持帰り後の再確認が済んでいない（returned_from_outside）。資産管理へ接続して再確認する。
#     en: age_hours is above posture_stale_hours, or returned_from_outside is true. Connect to the asset management and re-check.
found contains "POSTURE_STALE" if not recent

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

# METADATA
# title: POSTURE_UNAVAILABLE
# description: the posture source is down and the last posture does not suffice
# custom:
#   code: POSTURE_UNAVAILABLE
#   group: 5
#   fix: none
#   user:
#     ja: 端末の状態を確認できません（確認先の停止）
#     en: The state of this terminal cannot be confirmed (the source is down).
#   admin:
#     ja: 状態の確認先が停止している（sources.posture）。区分により、最後の状態での継続、追加認証、拒否（管理系または posture_degraded_hours 以上前の状態）となる。確認先を復旧する。
#     en: sources.posture is unavailable. The last posture serves some groups, others step up; administration and a posture of posture_degraded_hours or older are denied. Restore the source.
found contains "POSTURE_UNAVAILABLE" if {
	not source_answers
	not last_posture_serves
}

step_up["POSTURE_UNAVAILABLE"] := parameters.posture_degraded_level if {
	judged_in_full
	not source_answers
	not goes_on_as_usual
}

# An age that is not known is POSTURE_UNKNOWN, not stale.
recent if {
	input.device.returned_from_outside == false
	not too_old
}

too_old if {
	is_number(input.device.posture.age_hours)
	not young_enough
}

young_enough if input.device.posture.age_hours <= parameters.posture_stale_hours

source_answers if input.context.sources.posture == "ok"

last_posture_serves if {
	young_enough_to_go_on
	not administration
}

young_enough_to_go_on if {
	is_number(input.device.posture.age_hours)
	input.device.posture.age_hours < parameters.posture_degraded_hours
}

# A terminal that awaits its re-check is stale whatever its age; the age itself is not judged.
young_enough_to_go_on if input.device.returned_from_outside == true

administration if input.resource.group in parameters.posture_degraded_deny

goes_on_as_usual if input.resource.group in parameters.posture_degraded_as_usual

enough_known if {
	organisation_device
	tampering_known
	edr_risk_known
	edr_state_known
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
