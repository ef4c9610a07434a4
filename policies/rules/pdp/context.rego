# Group 7, context: path, network, country, risk signals.
package pdp.context

import data.pdp.disaster.disaster_mode
import data.pdp.disaster.never_relaxed
import data.pdp.facts.in_office
import data.pdp.facts.one_level_more
import data.pdp.facts.parameters
import data.pdp.matrix.cell

deny := found & never_relaxed if disaster_mode

else := found

# METADATA
# title: PATH_NOT_PROTECTED
# description: outside the office the path is not known to be encrypted
# custom:
#   code: PATH_NOT_PROTECTED
#   group: 7
#   fix: user
#   user:
#     ja: 通信経路の暗号化が確認できません
#     en: The connection cannot be confirmed to be encrypted.
#   admin:
#     ja: 庁外からの経路の暗号化を確認できない（path_encrypted が true でない）。SASEまたはVPNに接続させる。
#     en: path_encrypted is not true outside the office. Connect through the SASE or the VPN.
found contains "PATH_NOT_PROTECTED" if {
	not in_office
	not path_encrypted
}

# METADATA
# title: UNTRUSTED_NETWORK
# description: outside the office the underlay is public or unknown; one level more is asked for
# custom:
#   code: UNTRUSTED_NETWORK
#   group: 7
#   fix: user
#   user:
#     ja: 公衆回線のため追加の本人確認が必要です
#     en: Please confirm your identity again because you are on a public network.
#   admin:
#     ja: 庁外の回線が公衆回線または不明（underlay が trusted_underlays にない）。枠より一段強い認証を求めた。
#     en: underlay is not in trusted_underlays outside the office. One level more than the cell is asked for.
step_up["UNTRUSTED_NETWORK"] := one_level_more(cell.level) if {
	not in_office
	not underlay_trusted
	not underlay_excepted
	not disaster_mode
}

# METADATA
# title: UNUSUAL_USE
# description: a bulk download was reported; stronger authentication is asked for
# custom:
#   code: UNUSUAL_USE
#   group: 7
#   fix: user
#   user:
#     ja: 通常と異なる利用のため追加の本人確認が必要です
#     en: Please confirm your identity again because this use is unusual.
#   admin:
#     ja: 一括ダウンロードの検知（risk に bulk_download）。unusual_use_level の認証を求めた。本人に用途を確認する。
#     en: risk holds bulk_download; level unusual_use_level is asked for. Ask the person what it was for.
step_up["UNUSUAL_USE"] := parameters.unusual_use_level if {
	not clear_of("bulk_download")
	not disaster_mode
}

# METADATA
# title: IMPOSSIBLE_TRAVEL
# description: the same person was seen in two places too far apart; sessions end
# custom:
#   code: IMPOSSIBLE_TRAVEL
#   group: 7
#   fix: security_office
#   user:
#     ja: 不正利用の疑いがあるため利用を停止しました
#     en: Use was stopped because misuse is suspected.
#   admin:
#     ja: 短時間に離れた場所から利用された（risk に impossible_travel）。セッションを打ち切った。本人に確認し、IDの侵害として調査する。
#     en: risk holds impossible_travel. Sessions are ended. Ask the person and treat the account as compromised.
found contains "IMPOSSIBLE_TRAVEL" if not clear_of("impossible_travel")

# METADATA
# title: IMPERSONATION
# description: another person seems to act as the subject; sessions end
# custom:
#   code: IMPERSONATION
#   group: 7
#   fix: security_office
#   user:
#     ja: 不正利用の疑いがあるため利用を停止しました
#     en: Use was stopped because misuse is suspected.
#   admin:
#     ja: なりすましの疑い（risk に impersonation）。セッションを打ち切った。認証情報を失効させ調査する。
#     en: risk holds impersonation. Sessions are ended. Revoke the credentials and investigate.
found contains "IMPERSONATION" if not clear_of("impersonation")

# METADATA
# title: MALWARE_ALERT
# description: malware was reported; sessions end
# custom:
#   code: MALWARE_ALERT
#   group: 7
#   fix: security_office
#   user:
#     ja: 不正利用の疑いがあるため利用を停止しました
#     en: Use was stopped because misuse is suspected.
#   admin:
#     ja: マルウェアの検知（risk に malware_alert）。セッションを打ち切った。端末を隔離しインシデントとして扱う。
#     en: risk holds malware_alert. Sessions are ended. Isolate the terminal and handle it as an incident.
found contains "MALWARE_ALERT" if not clear_of("malware_alert")

# METADATA
# title: COUNTRY_NOT_ALLOWED
# description: outside the office the country is not an allowed one
# custom:
#   code: COUNTRY_NOT_ALLOWED
#   group: 7
#   fix: section
#   user:
#     ja: 国外からの利用は許可されていません
#     en: Use from abroad is not allowed.
#   admin:
#     ja: 接続元の国（country）が不明または allowed_countries にない。出張なら所属が事前に申請する。
#     en: country is unknown or not in allowed_countries. The section applies in advance for a business trip.
found contains "COUNTRY_NOT_ALLOWED" if {
	not in_office
	not country_allowed
}

path_encrypted if input.context.path_encrypted == true

underlay_trusted if input.context.underlay in parameters.trusted_underlays

underlay_excepted if input.resource.group in parameters.untrusted_network_excepted

country_allowed if input.context.country in parameters.allowed_countries

# Only a list of signals can clear somebody; no list clears nobody.
clear_of(signal) if {
	is_array(input.context.risk)
	every reported in input.context.risk {
		reported != signal
	}
}
