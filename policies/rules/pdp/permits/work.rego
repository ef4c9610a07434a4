# Group 4, permits and windows: the work permit of maintenance and administration.
package pdp.permits

import data.pdp.matrix.cell

# METADATA
# title: WORK_PERMIT_MISSING
# description: the cell needs a work permit and there is none
# custom:
#   code: WORK_PERMIT_MISSING
#   group: 4
#   fix: section
#   user:
#     ja: 作業申請の内容と異なります
#     en: This does not match your work permit.
#   admin:
#     ja: 作業申請が要る枠だが申請がない（work_permit が none）。発注した所属が作業申請を登録する。
#     en: The cell needs a work permit and work_permit is none. The section in charge registers one.
deny contains "WORK_PERMIT_MISSING" if {
	needs_work_permit
	not work_permit_on_file
}

# METADATA
# title: OUT_OF_WINDOW
# description: the work permit exists but not for this time
# custom:
#   code: OUT_OF_WINDOW
#   group: 4
#   fix: section
#   user:
#     ja: 作業申請の内容と異なります
#     en: This does not match your work permit.
#   admin:
#     ja: 作業申請の時間帯の外（work_permit が out_of_window）。時間帯に行うか、申請を変更する。
#     en: work_permit is out_of_window. Work inside the window or change the permit.
deny contains "OUT_OF_WINDOW" if {
	needs_work_permit
	input.context.work_permit == "out_of_window"
}

# METADATA
# title: OUT_OF_SCOPE
# description: the work permit exists but not for this system or device
# custom:
#   code: OUT_OF_SCOPE
#   group: 4
#   fix: section
#   user:
#     ja: 作業申請の内容と異なります
#     en: This does not match your work permit.
#   admin:
#     ja: 作業申請の対象システムまたは端末に含まれない（work_permit が out_of_scope）。対象を確認し、必要なら申請を変更する。
#     en: work_permit is out_of_scope; the system or the device is not in it. Check the permit or change it.
deny contains "OUT_OF_SCOPE" if {
	needs_work_permit
	input.context.work_permit == "out_of_scope"
}

# METADATA
# title: NOT_NAMED
# description: the work permit exists but does not name this person
# custom:
#   code: NOT_NAMED
#   group: 4
#   fix: section
#   user:
#     ja: 作業申請の内容と異なります
#     en: This does not match your work permit.
#   admin:
#     ja: 作業申請に利用者の氏名がない（work_permit が not_named）。再委託者も一人ずつ申請に記載する。
#     en: work_permit is not_named; the person is not in it. Subcontractors must be named one by one.
deny contains "NOT_NAMED" if {
	needs_work_permit
	input.context.work_permit == "not_named"
}

needs_work_permit if cell.permit == "work"

# All but `valid` have codes of their own.
work_permit_on_file if input.context.work_permit in {"valid", "out_of_window", "out_of_scope", "not_named"}
