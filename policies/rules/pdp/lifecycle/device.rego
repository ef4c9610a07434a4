# Group 1, ended or disabled: the device.
package pdp.lifecycle

# METADATA
# title: DEVICE_LOST
# description: the terminal is reported lost; end its sessions and ask for a wipe
# custom:
#   code: DEVICE_LOST
#   group: 1
#   fix: help_desk
#   user:
#     ja: 紛失届のある端末です
#     en: This terminal is reported lost.
#   admin:
#     ja: 紛失届のある端末からの要求（state が lost）。セッションを打ち切り遠隔消去を求めた。発見時は情報セキュリティ担当の承認で解除する。
#     en: state is lost. Sessions are ended and a wipe is requested. Clearing it needs the security office.
deny contains "DEVICE_LOST" if input.device.state == "lost"

# METADATA
# title: LOST_NOT_CLEARED
# description: the terminal was found but nobody has approved its return
# custom:
#   code: LOST_NOT_CLEARED
#   group: 1
#   fix: security_office
#   user:
#     ja: 紛失の解除が承認されていません
#     en: The lost report of this terminal has not been cleared yet.
#   admin:
#     ja: 発見の届けはあるが紛失解除が未承認（state が lost_unconfirmed_found）。情報セキュリティ担当が端末を点検し承認する。
#     en: state is lost_unconfirmed_found. The security office inspects the terminal and approves its return.
deny contains "LOST_NOT_CLEARED" if input.device.state == "lost_unconfirmed_found"

# METADATA
# title: DEVICE_RETIRED
# description: the terminal is retired, or its state is not one that may be used
# custom:
#   code: DEVICE_RETIRED
#   group: 1
#   fix: section
#   user:
#     ja: 廃棄済みの端末です
#     en: This terminal has been retired.
#   admin:
#     ja: 廃棄済みの端末（state が retired）。誤って廃棄登録した場合は所属が資産台帳を直す。
#     en: state is retired. The section corrects the asset register if that is a mistake.
deny contains "DEVICE_RETIRED" if not device_usable

# The lost states have codes of their own; `quarantined` is for group 5, because remediation stays open to it.
device_usable if input.device.state in {"in_service", "quarantined", "lost", "lost_unconfirmed_found"}
