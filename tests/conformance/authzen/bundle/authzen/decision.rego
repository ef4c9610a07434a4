# The policy of four public test fixtures for AuthZEN 1.0, for conformance only: each in its own package.
package authzen

default decision := {"decision": false}

decision := {"decision": true} if permitted

permitted if data.records.permitted

permitted if data.plays.permitted

permitted if data.todo.permitted

permitted if data.gateway.permitted
