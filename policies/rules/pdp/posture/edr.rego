# Group 5, posture: the EDR agent and what it reports. Asked of organisation devices only.
package pdp.posture

import data.pdp.facts.edr_absence_tolerated
import data.pdp.facts.edr_absent
import data.pdp.facts.parameters

# METADATA
# title: EDR_NOT_RUNNING
# description: the EDR is stopped, or the terminal has none where one is needed
# custom:
#   code: EDR_NOT_RUNNING
#   group: 5
#   fix: section
#   user:
#     ja: EDRが停止しています。所属の情報担当へ連絡してください
#     en: The EDR has stopped. Please contact your section's IT officer.
#   admin:
#     ja: EDRが停止（edr_running が false）または未導入（not_managed）。停止なら端末を隔離し原因を調べる。未導入の所属調達端末は庁内のコミュニケーション基盤だけ使える。
#     en: edr_running is false or not_managed. A stopped EDR quarantines the terminal; one without an EDR may only use communication from a section_pc in the office.
found contains "EDR_NOT_RUNNING" if {
	organisation_device
	input.device.posture.edr_running in {false, "not_managed"}
	not edr_absence_tolerated
}

# METADATA
# title: EDR_RISK_HIGH
# description: the EDR reports a high risk
# custom:
#   code: EDR_RISK_HIGH
#   group: 5
#   fix: security_office
#   user:
#     ja: 端末に脅威が検出されています
#     en: A threat was found on this terminal.
#   admin:
#     ja: EDRの判定が high（edr_risk）。端末を隔離した。インシデントとして調査する。
#     en: edr_risk is high. The terminal is quarantined; handle it as an incident.
found contains "EDR_RISK_HIGH" if {
	edr_reports
	input.device.posture.edr_risk == "high"
}

# METADATA
# title: EDR_RISK_MEDIUM
# description: the EDR reports a medium risk; stronger authentication is asked for
# custom:
#   code: EDR_RISK_MEDIUM
#   group: 5
#   fix: user
#   user:
#     ja: 端末に脅威の疑いがあるため追加の本人確認が必要です
#     en: Please confirm your identity again because this terminal may be at risk.
#   admin:
#     ja: EDRの判定が medium（edr_risk）。edr_medium_level の認証を求めた。検知内容を確認する。
#     en: edr_risk is medium; level edr_medium_level is asked for. Look at the detection.
step_up["EDR_RISK_MEDIUM"] := parameters.edr_medium_level if {
	judged_in_full
	edr_reports
	input.device.posture.edr_risk == "medium"
}

# A risk is judged wherever there is an agent to report one, running or not.
edr_reports if {
	organisation_device
	not edr_absent
}
