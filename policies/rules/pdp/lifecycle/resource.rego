# Group 1, ended or disabled: the resource. One that the catalogue does not know has no status to judge.
package pdp.lifecycle

# METADATA
# title: SERVICE_ENDED
# description: the system's service has ended, or its status is not one that may be used
# custom:
#   code: SERVICE_ENDED
#   group: 1
#   fix: none
#   user:
#     ja: 当該システムの提供は終了しました
#     en: This system is no longer provided.
#   admin:
#     ja: 提供期間が終わった（status が ended）。catalogue.yaml の until を確認し、後継システムを案内する。
#     en: status is ended. Check `until` in catalogue.yaml and point the user to the successor.
deny contains "SERVICE_ENDED" if {
	catalogued
	not provided
}

# METADATA
# title: SERVICE_NOT_STARTED
# description: the system's service has not begun
# custom:
#   code: SERVICE_NOT_STARTED
#   group: 1
#   fix: none
#   user:
#     ja: 当該システムの提供は始まっていません
#     en: This system is not provided yet.
#   admin:
#     ja: 提供開始日の前（status が not_started）。catalogue.yaml の from を確認する。
#     en: status is not_started. Check `from` in catalogue.yaml.
deny contains "SERVICE_NOT_STARTED" if {
	catalogued
	input.resource.status == "not_started"
}

# METADATA
# title: RESOURCE_UNKNOWN
# description: the system is not in the catalogue
# custom:
#   code: RESOURCE_UNKNOWN
#   group: 1
#   fix: help_desk
#   user:
#     ja: 登録されていないシステムです
#     en: This system is not registered.
#   admin:
#     ja: 資源が catalogue.yaml にない（group が unknown）。実施点の資源IDの設定を確認し、必要なら登録する。
#     en: group is unknown; the resource is not in catalogue.yaml. Check the id that the enforcement point sends or add a row.
deny contains "RESOURCE_UNKNOWN" if not catalogued

catalogued if input.resource.group != "unknown"

# `not_started` has a code of its own.
provided if input.resource.status in {"in_service", "readonly", "not_started"}
