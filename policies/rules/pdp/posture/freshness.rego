# Group 5, posture: is it recent, and does its source answer. Asked of every class.
package pdp.posture

import data.pdp.facts.parameters

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
	is_number(input.device.posture.age_hours)
	input.device.posture.age_hours < parameters.posture_degraded_hours
	not administration
}

administration if input.resource.group in parameters.posture_degraded_deny

goes_on_as_usual if input.resource.group in parameters.posture_degraded_as_usual
