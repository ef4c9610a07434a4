# The primary codes of ordinary use. The first in order.primary that applies is the one reported.
package pdp.outcome

import data.pdp.facts.in_office
import data.pdp.facts.shared_terminal

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
