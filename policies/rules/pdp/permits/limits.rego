# Group 4, permits and windows: what the place allows, and whether the enforcement point can hold it to that.
package pdp.permits

import data.pdp.facts.screen_transfer
import data.pdp.limits.of_place as limits
import data.pdp.matrix.cell

# METADATA
# title: SCREEN_TRANSFER_REQUIRED
# description: the cell allows screen transfer only and the action is another
# custom:
#   code: SCREEN_TRANSFER_REQUIRED
#   group: 4
#   fix: user
#   user:
#     ja: 画面転送でのみ利用できます
#     en: You may use this system by screen transfer only.
#   admin:
#     ja: 画面転送だけを許す枠で、action が screen_transfer でない。画面転送の入口を案内する。
#     en: The cell is screen transfer only and action is not screen_transfer. Point the user to the screen-transfer entrance.
deny contains "SCREEN_TRANSFER_REQUIRED" if {
	cell.screen_transfer
	not screen_transfer
}

# METADATA
# title: READ_ONLY
# description: the system is in its read-only period and the action is not read
# custom:
#   code: READ_ONLY
#   group: 4
#   fix: user
#   user:
#     ja: 閲覧のみ利用できます
#     en: You may only read here.
#   admin:
#     ja: 閲覧のみの期間（status が readonly）に read 以外の操作をした。書込みは後継システムで行う。
#     en: status is readonly and action is not read. Write in the successor system.
deny contains "READ_ONLY" if not action_available

# METADATA
# title: PEP_CANNOT_ENFORCE
# description: the enforcement point cannot apply a limit that this place needs
# custom:
#   code: PEP_CANNOT_ENFORCE
#   group: 4
#   fix: security_office
#   user:
#     ja: 必要な制限を適用できない経路です
#     en: This path cannot apply the required limits.
#   admin:
#     ja: 必要な制限を実施点が宣言していない（context.pep）。制限に対応する実施点を経由させるか、実施点の設定を直す。
#     en: context.pep lacks a limit that this place needs. Route through an enforcement point that has it or correct its settings.
deny contains "PEP_CANNOT_ENFORCE" if not enforceable

action_available if input.resource.status == "in_service"

action_available if input.action.name == "read"

enforceable if {
	is_object(limits)
	needed := {word | some word, _ in limits; word in words_of_pep}
	every word in needed {
		word in input.context.pep
	}
}

# Limits that only the enforcement point can apply. It declares the ones that it can in context.pep.
words_of_pep := {"clipboard", "print", "save", "download", "browser_only", "record_session"}
