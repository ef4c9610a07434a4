# The primary codes. The first in order.primary that applies is the one reported.
package pdp.outcome

import data.pdp.disaster.disaster_mode
import data.pdp.facts.emergency
import data.pdp.facts.federated
import data.pdp.facts.in_office
import data.pdp.facts.private_device
import data.pdp.facts.shared_terminal
import data.pdp.matrix.cell
import data.pdp.matrix.row

# METADATA
# title: BREAK_GLASS
# description: the sealed emergency account is in use; recorded and alerted
# custom:
#   code: BREAK_GLASS
#   group: ok
#   fix: none
#   user:
#     ja: 緊急用アカウントによる利用です
#     en: This is use of an emergency account.
#   admin:
#     ja: 緊急用アカウントが使われた。操作を記録し管理者へ通知する。開封の承認を確認し、使用後に封印し直す。
#     en: "The emergency account was used: recorded, administrators alerted. Check who approved it and seal it again afterwards."
applies contains "BREAK_GLASS" if emergency

# METADATA
# title: OK_DISASTER
# description: "disaster mode applies: posture and context are relaxed, nothing else"
# custom:
#   code: OK_DISASTER
#   group: ok
#   fix: none
#   user:
#     ja: 災害時運用による許可です
#     en: Allowed under disaster mode.
#   admin:
#     ja: 災害時運用が有効で、役割 disaster_response を持つ職員が対象の区分を利用した。終了後にこのコードの全件を点検する。
#     en: Disaster mode is on and a member of staff with the disaster role used a covered resource. Review every such decision afterwards.
applies contains "OK_DISASTER" if disaster_mode

# METADATA
# title: OK_MAINTENANCE
# description: a work permit was needed and is valid
# custom:
#   code: OK_MAINTENANCE
#   group: ok
#   fix: none
#   user:
#     ja: 作業申請を確認しました
#     en: Your work permit is valid.
#   admin:
#     ja: 作業申請の対象者、対象システム、端末、時間帯が一致した。操作は記録され、end_at に打ち切られる。
#     en: The work permit matches person, system, device and window. The session is recorded and ends at end_at.
applies contains "OK_MAINTENANCE" if cell.permit == "work"

# METADATA
# title: OK_FEDERATED
# description: the identity comes from a federated organisation
# custom:
#   code: OK_FEDERATED
#   group: ok
#   fix: none
#   user:
#     ja: 所属団体の認証を確認しました
#     en: Your own organisation confirmed who you are.
#   admin:
#     ja: 連携した団体の認証基盤による利用者（identity_source が federated）。利用者の属性はその団体が責任を持つ。
#     en: The identity source is federated; the home organisation answers for this person's attributes.
applies contains "OK_FEDERATED" if federated

# METADATA
# title: OK_BYOD_COMMUNICATION
# description: a permitted private device on the communication platform
# custom:
#   code: OK_BYOD_COMMUNICATION
#   group: ok
#   fix: none
#   user:
#     ja: 個人所有端末でコミュニケーション基盤を利用できます
#     en: You may use the communication platform on your private device.
#   admin:
#     ja: 利用許可のある個人所有端末。クリップボードと保存（PCはさらに印刷、ダウンロード、ブラウザ以外）を実施点が止める。
#     en: A private device with a valid permit. The enforcement point holds back clipboard and saving (on a PC also printing, download and anything but the browser).
applies contains "OK_BYOD_COMMUNICATION" if {
	private_device
	input.resource.group == "communication"
}

# METADATA
# title: OK_SCREEN_TRANSFER
# description: the cell of the matrix allows screen transfer only
# custom:
#   code: OK_SCREEN_TRANSFER
#   group: ok
#   fix: none
#   user:
#     ja: 画面転送でのみ利用できます
#     en: You may use this system by screen transfer only.
#   admin:
#     ja: 画面転送だけを許す枠（matrix.yaml の screen_transfer）で許可した。クリップボード、印刷、保存を実施点が止める。
#     en: Allowed by a screen-transfer cell of matrix.yaml; clipboard, printing and saving are held back.
applies contains "OK_SCREEN_TRANSFER" if cell.screen_transfer

# METADATA
# title: LEGACY_READONLY
# description: a legacy system in its read-only period
# custom:
#   code: LEGACY_READONLY
#   group: ok
#   fix: none
#   user:
#     ja: 閲覧のみ利用できます
#     en: You may only read here.
#   admin:
#     ja: 移行前のシステムの閲覧期間中（status が readonly）。業務端末から庁内で read だけができる。
#     en: A legacy system in its read-only period; only `read`, from a managed_pc in the office.
applies contains "LEGACY_READONLY" if row == "legacy_readonly"

# METADATA
# title: OK_LOAN
# description: a mobile terminal inside its booking
# custom:
#   code: OK_LOAN
#   group: ok
#   fix: none
#   user:
#     ja: 貸出登録を確認しました
#     en: The booking of this terminal is valid.
#   admin:
#     ja: モバイル端末の貸出登録（利用者と期間）が要求と一致した。対応は不要。
#     en: The booking of the mobile_pc matches the user and the period. Nothing to do.
applies contains "OK_LOAN" if input.device.class == "mobile_pc"

# METADATA
# title: OK_SHARED_TERMINAL
# description: a shared terminal of a section; the session is limited in time
# custom:
#   code: OK_SHARED_TERMINAL
#   group: ok
#   fix: none
#   user:
#     ja: 共用端末での利用です
#     en: You are using a shared terminal.
#   admin:
#     ja: 共用の所属調達端末を個人のIDで利用した。session_max_minutes の後に再度サインインを求める。
#     en: A shared section_pc used with a personal account. The session ends after session_max_minutes.
applies contains "OK_SHARED_TERMINAL" if shared_terminal

# METADATA
# title: OK_CONCURRENT_POST
# description: the resource names departments and the main post is not among them; another current post is
# custom:
#   code: OK_CONCURRENT_POST
#   group: ok
#   fix: none
#   user:
#     ja: 併任先の所属として許可しました
#     en: Allowed by your concurrent post.
#   admin:
#     ja: 資源が所属を限り、本務の所属は含まれないが、併任先の所属が含まれる。併任の発令と突合できる。
#     en: The resource names departments; the main post (first of departments) is not among them, a concurrent post is.
applies contains "OK_CONCURRENT_POST" if {
	count(input.resource.departments) > 0
	not main_post_named
}

# METADATA
# title: OK_REMOTE
# description: the request comes from outside the office over a protected path
# custom:
#   code: OK_REMOTE
#   group: ok
#   fix: none
#   user:
#     ja: 持出し端末と暗号化通信を確認しました
#     en: The terminal may be used outside, and its connection is encrypted.
#   admin:
#     ja: 庁外（zone が office 以外）から、持出しを認めた端末と暗号化された経路で利用した。対応は不要。
#     en: Used from outside the office (zone is not office) with a permitted terminal over an encrypted path. Nothing to do.
applies contains "OK_REMOTE" if not in_office

# METADATA
# title: OK
# description: no other primary code applies and the subject is in the office
# custom:
#   code: OK
#   group: ok
#   fix: none
#   user:
#     ja: 条件を満たしています
#     en: All conditions are met.
#   admin:
#     ja: すべての条件を満たした。対応は不要。
#     en: Every condition was met. Nothing to do.
applies contains "OK"

main_post_named if input.subject.departments[0] in input.resource.departments
