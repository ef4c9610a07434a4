# Group 4, permits and windows: the permit of a private device.
package pdp.permits

import data.pdp.facts.private_device

# METADATA
# title: PERMIT_MISSING
# description: the private device has no permit
# custom:
#   code: PERMIT_MISSING
#   group: 4
#   fix: section
#   user:
#     ja: 個人所有端末の利用許可を確認してください
#     en: Please check the permit for your private device.
#   admin:
#     ja: この利用者と端末の組に利用許可がない（permit が none）。所属長を通じて申請する。
#     en: permit is none for this user and device. Apply through the head of the section.
deny contains "PERMIT_MISSING" if {
	private_device
	not permit_on_file
}

# METADATA
# title: PERMIT_EXPIRED
# description: the permit of the private device has expired
# custom:
#   code: PERMIT_EXPIRED
#   group: 4
#   fix: section
#   user:
#     ja: 個人所有端末の利用許可を確認してください
#     en: Please check the permit for your private device.
#   admin:
#     ja: 利用許可の期間が過ぎた（permit が expired）。継続するなら更新を申請する。
#     en: permit is expired. Apply for a renewal to go on.
deny contains "PERMIT_EXPIRED" if {
	private_device
	input.device.permit == "expired"
}

# METADATA
# title: PERMIT_HELD
# description: the permit of the private device is held
# custom:
#   code: PERMIT_HELD
#   group: 4
#   fix: security_office
#   user:
#     ja: 個人所有端末の利用許可を確認してください
#     en: Please check the permit for your private device.
#   admin:
#     ja: 利用許可が保留または停止されている（permit が held）。保留の理由を情報セキュリティ担当に確認する。
#     en: permit is held. Ask the security office for the reason.
deny contains "PERMIT_HELD" if {
	private_device
	input.device.permit == "held"
}

# `expired` and `held` have codes of their own.
permit_on_file if input.device.permit in {"valid", "expired", "held"}
