# The certification scenario of the OpenID AuthZEN working group, section "Required Fixture".
# Properties of the request go before what the fixture knows of an entity.
package records

default permitted := false

# Rules 1 and 3.
permitted if {
	known
	input.action.name == "read"
}

# Rules 2, 4 and 5: bob does not write, and nobody but an administrator writes to what is archived.
permitted if {
	known
	input.action.name == "write"
	input.subject.id == "alice"
	status != "archived"
}

# Rule 6.
permitted if {
	known
	input.action.name == "write"
	role == "admin"
	status == "archived"
}

# Rules 7 and 8.
permitted if {
	known
	input.action.name == "delete"
	input.subject.id == "alice"
	input.action.properties.soft == true
}

known if {
	input.subject.type == "user"
	input.subject.id in object.keys(data.records.subjects)
	input.resource.type == "record"
	input.resource.id in object.keys(data.records.resources)
}

role := object.get(
	object.get(input.subject, "properties", {}),
	"role",
	object.get(data.records.subjects[input.subject.id], "role", "none"),
)

status := object.get(
	object.get(input.resource, "properties", {}),
	"status",
	data.records.resources[input.resource.id].status,
)
