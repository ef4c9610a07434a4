# Group 5, posture: certificate, tampering, quarantine, disk encryption.
package pdp.posture

import data.pdp.facts.in_office
import data.pdp.facts.parameters

# METADATA
# title: CERTIFICATE_MISSING
# description: an organisation's terminal without a certificate that was verified
# custom:
#   code: CERTIFICATE_MISSING
#   group: 5
#   fix: help_desk
#   user:
#     ja: 端末証明書を確認できません
#     en: The certificate of this terminal cannot be confirmed.
#   admin:
#     ja: 県が管理する種類の端末で端末証明書を確認できない（certificate が true でない）。期限と配付状態を確認し再発行する。
#     en: certificate is not true on an organisation device. Check its expiry and reissue it.
found contains "CERTIFICATE_MISSING" if {
	organisation_device
	not certified
}

# METADATA
# title: DEVICE_TAMPERED
# description: the terminal is jailbroken, rooted or otherwise tampered with
# custom:
#   code: DEVICE_TAMPERED
#   group: 5
#   fix: security_office
#   user:
#     ja: 改造された端末は利用できません
#     en: A modified terminal cannot be used.
#   admin:
#     ja: 改造（脱獄、root化等）を検出した（tampered が true）。端末を回収または初期化し、情報セキュリティ担当が確認する。
#     en: tampered is true. Collect or reset the terminal; the security office checks it.
found contains "DEVICE_TAMPERED" if input.device.posture.tampered == true

# METADATA
# title: DEVICE_QUARANTINED
# description: the terminal is in quarantine
# custom:
#   code: DEVICE_QUARANTINED
#   group: 5
#   fix: security_office
#   user:
#     ja: 隔離中の端末です
#     en: This terminal is in quarantine.
#   admin:
#     ja: 端末が隔離中（state が quarantined）。調査が済めば情報セキュリティ担当が隔離を解く。
#     en: state is quarantined. The security office lifts it once the investigation is done.
found contains "DEVICE_QUARANTINED" if input.device.state == "quarantined"

# METADATA
# title: DISK_NOT_ENCRYPTED
# description: the disk is not known to be encrypted
# custom:
#   code: DISK_NOT_ENCRYPTED
#   group: 5
#   fix: section
#   user:
#     ja: ディスクが暗号化されていません
#     en: The disk is not encrypted.
#   admin:
#     ja: ディスクの暗号化を確認できない（disk_encrypted が true でない）。庁外、または庁内でも警告で済まない区分のため拒否した。暗号化を有効にする。
#     en: disk_encrypted is not true, outside the office or for a group that tolerates no warning. Turn encryption on.
found contains "DISK_NOT_ENCRYPTED" if {
	organisation_device
	not encrypted
	not encryption_only_warned
}

certified if input.device.posture.certificate == true

encrypted if input.device.posture.disk_encrypted == true

encryption_only_warned if {
	in_office
	input.resource.group in parameters.disk_warn_in_office
}
