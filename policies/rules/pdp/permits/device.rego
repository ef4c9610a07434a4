# Group 4, permits and windows: may this person use this device. Permit, booking, assignment.
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

# METADATA
# title: LOAN_MISSING
# description: the mobile terminal is not booked
# custom:
#   code: LOAN_MISSING
#   group: 4
#   fix: section
#   user:
#     ja: 貸出登録の利用者・期間と異なります
#     en: The booking of this terminal does not match.
#   admin:
#     ja: モバイル端末に現在の貸出登録がない（loan が none）。所属で貸出登録をする。
#     en: loan is none; nobody booked this mobile_pc. The section enters a booking.
deny contains "LOAN_MISSING" if {
	lent_class
	not booked
}

# METADATA
# title: LOAN_MISMATCH
# description: the mobile terminal is booked by another person
# custom:
#   code: LOAN_MISMATCH
#   group: 4
#   fix: section
#   user:
#     ja: 貸出登録の利用者・期間と異なります
#     en: The booking of this terminal does not match.
#   admin:
#     ja: 貸出登録の利用者が別人（loan が mismatch）。登録を直すか、登録された利用者が使う。
#     en: loan is mismatch; another person booked it. Correct the booking or hand the terminal over.
deny contains "LOAN_MISMATCH" if {
	lent_class
	input.device.loan == "mismatch"
}

# METADATA
# title: LOAN_EXPIRED
# description: the booking of the mobile terminal has ended
# custom:
#   code: LOAN_EXPIRED
#   group: 4
#   fix: section
#   user:
#     ja: 貸出登録の利用者・期間と異なります
#     en: The booking of this terminal does not match.
#   admin:
#     ja: 貸出期間が過ぎた（loan が expired）。返却するか、貸出登録を延長する。
#     en: loan is expired. Return the terminal or extend the booking.
deny contains "LOAN_EXPIRED" if {
	lent_class
	input.device.loan == "expired"
}

# METADATA
# title: DEVICE_OF_OTHER_USER
# description: a personal terminal is used by somebody to whom it is not assigned
# custom:
#   code: DEVICE_OF_OTHER_USER
#   group: 4
#   fix: section
#   user:
#     ja: 他の利用者に割り当てられた端末です
#     en: This terminal is assigned to another person.
#   admin:
#     ja: 一人に割り当てる種類の端末が、要求した利用者のものでない（relation が own でない）。台帳の割当てを確認する。
#     en: The class belongs to one person and relation is not own. Check the assignment in the register.
deny contains "DEVICE_OF_OTHER_USER" if {
	not pooled_class
	not own_device
}

# `expired` and `held` have codes of their own.
permit_on_file if input.device.permit in {"valid", "expired", "held"}

lent_class if input.device.class == "mobile_pc"

# `mismatch` and `expired` have codes of their own.
booked if input.device.loan in {"valid", "mismatch", "expired"}

# Mobile terminals go by their booking, the others are a section's pool. All other classes belong to one person.
pooled_class if input.device.class in {"mobile_pc", "section_pc", "mynumber_terminal"}

own_device if input.device.relation == "own"
