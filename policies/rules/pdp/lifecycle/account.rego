# Group 1, ended or disabled: the account.
package pdp.lifecycle

# METADATA
# title: ACCOUNT_EXPIRED
# description: the appointment has ended or has not begun
# custom:
#   code: ACCOUNT_EXPIRED
#   group: 1
#   fix: section
#   user:
#     ja: 退職等により利用できません
#     en: Your account has ended or has not started yet.
#   admin:
#     ja: 在職期間の外（employment が ended または not_started）。人事情報の発令日を確認する。
#     en: employment is ended or not_started. Check the dates in the personnel records.
deny contains "ACCOUNT_EXPIRED" if {
	out_of_term
	not fixed_term
	not contractor
}

# METADATA
# title: ACCOUNT_SUSPENDED
# description: the account is suspended
# custom:
#   code: ACCOUNT_SUSPENDED
#   group: 1
#   fix: section
#   user:
#     ja: 休職等により利用を停止しています
#     en: Your account is suspended.
#   admin:
#     ja: 休職、停職等で停止中（employment が suspended）。復職の発令が反映されているか確認する。
#     en: employment is suspended. Check whether a return to work has been entered.
deny contains "ACCOUNT_SUSPENDED" if {
	identified
	input.subject.employment == "suspended"
}

# METADATA
# title: APPOINTMENT_ENDED
# description: the appointment of fixed-term staff has ended or has not begun
# custom:
#   code: APPOINTMENT_ENDED
#   group: 1
#   fix: section
#   user:
#     ja: 任用期間が終了しています。所属で登録を確認してください
#     en: Your term of appointment has ended. Ask your section to check the registration.
#   admin:
#     ja: 会計年度任用職員の任用期間の外。更新した場合は所属が任用期間の登録を直す。
#     en: The term of a fixed-term member of staff is not current. The section corrects the registration if it was renewed.
deny contains "APPOINTMENT_ENDED" if {
	out_of_term
	fixed_term
}

# METADATA
# title: CONTRACT_ENDED
# description: the contractor's contract has ended or has not begun
# custom:
#   code: CONTRACT_ENDED
#   group: 1
#   fix: section
#   user:
#     ja: 契約期間が終了しています
#     en: The contract period has ended.
#   admin:
#     ja: 受託事業者の契約期間の外。契約を更新した場合は発注した所属が登録を直す。
#     en: The contractor's contract is not current. The section that placed it corrects the registration if it was renewed.
deny contains "CONTRACT_ENDED" if {
	out_of_term
	contractor
}

# METADATA
# title: SHARED_ACCOUNT
# description: shared accounts are never allowed; a person must be traceable
# custom:
#   code: SHARED_ACCOUNT
#   group: 1
#   fix: user
#   user:
#     ja: 個人のIDで利用してください
#     en: Please use your personal account.
#   admin:
#     ja: 共用アカウントでの要求。個人を特定できないため常に拒否する。利用者に個人のIDを使わせる。
#     en: A shared account; always denied because no person can be traced. Have the user sign in personally.
deny contains "SHARED_ACCOUNT" if input.subject.kind == "shared_account"

# METADATA
# title: IDENTITY_SOURCE_UNKNOWN
# description: no identity source knows the subject
# custom:
#   code: IDENTITY_SOURCE_UNKNOWN
#   group: 1
#   fix: help_desk
#   user:
#     ja: 統合認証に登録がありません
#     en: You are not registered in the integrated authentication.
#   admin:
#     ja: 統合認証にも連携先にも登録がない（kind が unknown または identity_source が none）。県職員は統合認証へ登録し、市町職員は所属団体との連携を確認する。
#     en: kind is unknown or identity_source is none. Register prefectural staff; for municipal staff check the federation with their municipality.
deny contains "IDENTITY_SOURCE_UNKNOWN" if not identified

kinds := {"staff", "fixed_term_staff", "municipal_staff", "contractor", "emergency_account", "shared_account"}

# Employment is judged only of somebody whom an identity source knows.
identified if {
	input.subject.kind in kinds
	input.subject.identity_source in {"integrated", "federated"}
}

out_of_term if {
	identified
	not in_term
}

# `suspended` has a code of its own.
in_term if input.subject.employment in {"active", "suspended"}

fixed_term if input.subject.kind == "fixed_term_staff"

contractor if input.subject.kind == "contractor"
