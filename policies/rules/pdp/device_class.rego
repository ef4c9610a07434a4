# Group 3, device class against resource group. Reports one code: each rule leaves out what an earlier one reports.
package pdp.device_class

import data.pdp.facts.in_office
import data.pdp.facts.private_device
import data.pdp.facts.screen_transfer
import data.pdp.matrix.cell
import data.pdp.matrix.not_yet_moved

# METADATA
# title: DEVICE_UNREGISTERED
# description: the device is not registered
# custom:
#   code: DEVICE_UNREGISTERED
#   group: 3
#   fix: section
#   user:
#     ja: 登録されていない端末です
#     en: This terminal is not registered.
#   admin:
#     ja: 端末が台帳にない（registered が true でない）。県の端末は資産台帳へ、個人所有端末は利用許可の申請で登録する。
#     en: registered is not true. Enter prefectural terminals in the asset register; private devices are registered with their permit.
deny contains "DEVICE_UNREGISTERED" if not registered

# METADATA
# title: BYOD_SCOPE
# description: a private device reaches the communication platform and nothing else
# custom:
#   code: BYOD_SCOPE
#   group: 3
#   fix: none
#   user:
#     ja: 個人所有端末で利用できるのはコミュニケーション基盤のみです
#     en: Private devices may use the communication platform only.
#   admin:
#     ja: 個人所有端末からコミュニケーション基盤以外を要求した。役割があっても許可しない。業務端末を使わせる。
#     en: A private device asked for something else than communication, whatever the role. Use a managed terminal.
deny contains "BYOD_SCOPE" if {
	not cell
	registered
	private_device
}

# METADATA
# title: DEVICE_CLASS
# description: the matrix has no cell for this class of device at this place
# custom:
#   code: DEVICE_CLASS
#   group: 3
#   fix: none
#   user:
#     ja: この種類の端末では利用できません
#     en: This kind of terminal cannot use this system.
#   admin:
#     ja: 端末の種類（class）と場所（zone）の組合せが matrix.yaml で × になっている。利用できる端末と場所を案内する。
#     en: The cell of matrix.yaml for this class and zone is ×. Point the user to a terminal or a place that is allowed.
deny contains "DEVICE_CLASS" if {
	not cell
	registered
	not private_device
	not section_terminal_outside
}

# METADATA
# title: TAKEOUT_NOT_ALLOWED
# description: the terminal may not be used outside the office
# custom:
#   code: TAKEOUT_NOT_ALLOWED
#   group: 3
#   fix: section
#   user:
#     ja: この端末は外部持ち出しの対象外です
#     en: This terminal may not be taken outside.
#   admin:
#     ja: 所属調達端末の庁外利用、または持出しを許可していない業務端末（takeout が permitted でない）。必要なら所属が持出しを申請する。
#     en: A section_pc outside the office, or a managed_pc whose takeout is not permitted. The section applies for take-out where needed.
deny contains "TAKEOUT_NOT_ALLOWED" if {
	registered
	must_stay_inside
}

# METADATA
# title: SEGMENT_NOT_YET_MOVED
# description: the business system is still in the LGWAN segment; screen transfer only
# custom:
#   code: SEGMENT_NOT_YET_MOVED
#   group: 3
#   fix: user
#   user:
#     ja: 移行前のため画面転送で利用してください
#     en: This system has not moved yet. Please use screen transfer.
#   admin:
#     ja: 業務システムがまだLGWAN接続系にある（segment が lgwan）のに画面転送以外で要求した。移行日は catalogue.yaml の segments にある。
#     en: The business system is still in segment lgwan and the action is not screen_transfer. The cut-over date stands in `segments` in catalogue.yaml.
deny contains "SEGMENT_NOT_YET_MOVED" if {
	not_yet_moved
	not screen_transfer
	registered
	cell
	not must_stay_inside
}

registered if input.device.registered == true

must_stay_inside if section_terminal_outside

must_stay_inside if {
	cell
	not take_out_in_order
}

# A section's terminal has no cell outside the office; that alone is reported of it there.
section_terminal_outside if {
	input.device.class == "section_pc"
	not in_office
	not cell
}

take_out_in_order if in_office

take_out_in_order if input.device.class != "managed_pc"

take_out_in_order if input.device.takeout == "permitted"
