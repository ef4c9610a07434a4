# The API-gateway interop of the OpenID AuthZEN working group: the todo application's people, seen as
# identities, and its routes. Whose todo it is, the gateway does not know.
package gateway

default permitted := false

permitted if {
	count(roles) > 0
	input.action.name == "GET"
	input.resource.id in ["/users/{userId}", "/todos"]
}

permitted if {
	some role in roles
	role in ["editor", "admin"]
	[input.action.name, input.resource.id] in [
		["POST", "/todos"],
		["PUT", "/todos/{todoId}"],
		["DELETE", "/todos/{todoId}"],
	]
}

roles := data.todo.people[input.subject.id].roles if {
	input.subject.type == "identity"
	input.resource.type == "route"
}
