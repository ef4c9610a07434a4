# The todo interop of the OpenID AuthZEN working group.
# Viewers read. Editors also create, and change and delete what is theirs. Administrators delete anything,
# an evil genius changes anything.
package todo

default permitted := false

permitted if {
	count(roles) > 0
	[input.action.name, input.resource.type] in [["can_read_user", "user"], ["can_read_todos", "todo"]]
}

permitted if {
	input.action.name == "can_create_todo"
	input.resource.type == "todo"
	some role in roles
	role in ["editor", "admin"]
}

permitted if {
	input.action.name in ["can_update_todo", "can_delete_todo"]
	input.resource.type == "todo"
	"editor" in roles
	input.resource.properties.ownerID == person.email
}

permitted if {
	input.action.name == "can_update_todo"
	input.resource.type == "todo"
	"evil_genius" in roles
}

permitted if {
	input.action.name == "can_delete_todo"
	input.resource.type == "todo"
	"admin" in roles
}

person := data.todo.people[input.subject.id] if input.subject.type == "user"

roles := person.roles
