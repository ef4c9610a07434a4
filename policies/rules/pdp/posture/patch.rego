# Group 5, posture: the age of the patches. Asked of organisation devices only.
package pdp.posture

import data.pdp.facts.one_level_more
import data.pdp.facts.parameters
import data.pdp.matrix.cell

# METADATA
# title: PATCH_OVERDUE_DENY
# description: the patches are older than patch_deny_days
# custom:
#   code: PATCH_OVERDUE_DENY
#   group: 5
#   fix: user
#   user:
#     ja: 更新プログラムの適用期限を過ぎています
#     en: The deadline for installing updates has passed.
#   admin:
#     ja: 更新プログラムの未適用日数（patch_age_days）が patch_deny_days を超えた。パッチ配付には接続できるので適用させる。
#     en: patch_age_days is above patch_deny_days. The patch server stays reachable; have the updates installed.
found contains "PATCH_OVERDUE_DENY" if {
	organisation_device
	is_number(input.device.posture.patch_age_days)
	not patched_before_deadline
}

# PATCH_OVERDUE_WARN is described in outcome/outcome.rego; for some groups it also asks one level more.
step_up["PATCH_OVERDUE_WARN"] := one_level_more(cell.level) if {
	patch_overdue
	input.resource.group in parameters.patch_one_level_more
}

patch_overdue if {
	judged_in_full
	organisation_device
	not patched_in_time
}

patched_in_time if input.device.posture.patch_age_days <= parameters.patch_warn_days

patched_before_deadline if input.device.posture.patch_age_days <= parameters.patch_deny_days
