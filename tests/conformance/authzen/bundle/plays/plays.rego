# The search interop of the OpenID AuthZEN working group: six people, twenty records, three actions.
package plays

default permitted := false

permitted if {
	input.action.name == "view"
	some reason in ["manager", "same_department", "owner"]
	relation[reason]
}

permitted if {
	input.action.name == "edit"
	relation.manager
	relation.same_department
}

permitted if {
	input.action.name in ["edit", "delete"]
	relation.owner
}

person := data.plays.people[input.subject.id] if input.subject.type == "user"

record := data.plays.records[input.resource.id] if input.resource.type == "record"

relation := {
	"manager": person.role == "manager",
	"same_department": person.department == record.department,
	"owner": input.subject.id == record.owner,
}
