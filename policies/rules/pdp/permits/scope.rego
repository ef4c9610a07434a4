# Group 4, permits and windows: department, role, organisation and tenant.
package pdp.permits

import data.pdp.facts.federated
import data.pdp.matrix.cell

# METADATA
# title: NOT_IN_SECTION
# description: the subject shares no department with those that the resource names; some cells need a resource that names one
# custom:
#   code: NOT_IN_SECTION
#   group: 4
#   fix: section
#   user:
#     ja: 所属の利用範囲外です
#     en: This system is for other sections.
#   admin:
#     ja: 資源が限る所属に利用者の現在の所属がない。または所属調達端末から、所属を限らない業務システムを要求した。異動と併任の登録を確認する。
#     en: None of the subject's current departments is among the resource's, or a section_pc asked for a business system that names none. Check transfers and concurrent posts.
deny contains "NOT_IN_SECTION" if not in_section

# METADATA
# title: ROLE_REQUIRED
# description: the cell asks for a role that the subject does not have
# custom:
#   code: ROLE_REQUIRED
#   group: 4
#   fix: section
#   user:
#     ja: 必要な役割がありません
#     en: You do not have the role that this needs.
#   admin:
#     ja: matrix.yaml の枠が求める役割（role）を利用者が持たない。業務上必要なら所属が役割の付与を申請する。
#     en: The cell of matrix.yaml asks for a role that is not in subject.roles. The section applies for it if the work needs it.
deny contains "ROLE_REQUIRED" if {
	cell.role
	not has_role
}

# METADATA
# title: ORG_SCOPE
# description: the subject is not federated, or the data belongs to another organisation
# custom:
#   code: ORG_SCOPE
#   group: 4
#   fix: section
#   user:
#     ja: 所属団体の範囲外です
#     en: This data belongs to another organisation.
#   admin:
#     ja: 市町の端末から、連携していない利用者または他団体のデータ（organisations に利用者の団体がない）を要求した。連携とデータの所有団体を確認する。
#     en: "From a municipal_pc: the identity is not federated, or subject.organisation is not in resource.organisations. Check the federation and the owner of the data."
deny contains "ORG_SCOPE" if {
	cell.scope == "organisation"
	not own_organisation
}

# METADATA
# title: TENANT_NOT_ALLOWED
# description: the request goes to a tenant of another organisation
# custom:
#   code: TENANT_NOT_ALLOWED
#   group: 4
#   fix: user
#   user:
#     ja: 許可されていないテナントです
#     en: This tenant is not allowed.
#   admin:
#     ja: 自組織以外のテナントへの接続（tenant が own でない）。自組織のテナントは parameters.yaml の own_tenants にある。
#     en: tenant is not own. Our tenants stand in own_tenants in parameters.yaml.
deny contains "TENANT_NOT_ALLOWED" if not own_tenant

in_section if shares_department

in_section if open_to_all

shares_department if {
	some department in input.resource.departments
	department in input.subject.departments
}

# A resource that names no department is open to all, except in a cell that asks for the subject's own department.
open_to_all if {
	count(input.resource.departments) == 0
	not own_department_only
}

own_department_only if cell.scope == "department"

has_role if cell.role in input.subject.roles

own_organisation if {
	federated
	input.subject.organisation in input.resource.organisations
}

own_tenant if input.resource.tenant == "own"
