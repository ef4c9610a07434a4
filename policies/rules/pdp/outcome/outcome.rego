# The answer where no group denies and no step-up is needed: its name and its reasons.
package pdp.outcome

import data.pdp.obligations.limiting
import data.pdp.order.sorted
import data.pdp.posture.encrypted
import data.pdp.posture.judged_in_full
import data.pdp.posture.organisation_device
import data.pdp.posture.patch_overdue

allow_or_limit := "limit" if count(limiting) > 0

else := "allow"

# Exactly one primary code, then every warning, then the hour.
reasons := array.concat([primary], array.concat(warnings, hour))

primary := codes[0] if codes := sorted(data.pdp.order.primary, applies)

warnings := sorted(data.pdp.order.warnings, warned)

first_warning := warnings[0]

# METADATA
# title: PATCH_OVERDUE_WARN
# description: the patches are older than patch_warn_days; some groups ask one level more
# custom:
#   code: PATCH_OVERDUE_WARN
#   group: ok
#   fix: user
#   user:
#     ja: 更新プログラムを期限までに適用してください
#     en: Please install the pending updates before the deadline.
#   admin:
#     ja: 更新プログラムの未適用日数（patch_age_days）が patch_warn_days を超え patch_deny_days 以内。一部の区分は認証を一段強くする。適用を促す。
#     en: patch_age_days is above patch_warn_days, not above patch_deny_days. Some groups ask one authentication level more. Have the updates installed.
warned contains "PATCH_OVERDUE_WARN" if patch_overdue

# METADATA
# title: DISK_NOT_ENCRYPTED_WARN
# description: the disk is not known to be encrypted; tolerated in the office for some groups
# custom:
#   code: DISK_NOT_ENCRYPTED_WARN
#   group: ok
#   fix: section
#   user:
#     ja: ディスクの暗号化を有効にしてください
#     en: Please turn on disk encryption.
#   admin:
#     ja: ディスクの暗号化を確認できない（disk_encrypted が true でない）。庁内の disk_warn_in_office の区分だけ許している。暗号化を有効にする。
#     en: disk_encrypted is not true. Only the groups in disk_warn_in_office are open in the office. Turn encryption on.
warned contains "DISK_NOT_ENCRYPTED_WARN" if {
	judged_in_full
	organisation_device
	not encrypted
}

# METADATA
# title: OK_AFTER_HOURS
# description: the time is outside business hours; it never denies
# custom:
#   code: OK_AFTER_HOURS
#   group: ok
#   fix: none
#   user:
#     ja: 時間外の利用です
#     en: This is use outside office hours.
#   admin:
#     ja: 閉庁日または開庁時間外の利用（business_day または business_hours が false）。時刻だけで拒否はしない。時間外勤務の申請との突合に使う。
#     en: business_day or business_hours is false. The hour never denies; compare with the overtime records where needed.
hour := ["OK_AFTER_HOURS"] if not business_time

else := []

business_time if {
	input.context.business_day == true
	input.context.business_hours == true
}
