# The entry point, data.pdp.decision. Read this file first: it is the order of judgement.
#
# The first group that denies decides, and every code of it that holds is reported. Only where no group denies is a
# step-up asked for, and only where none is needed the answer is allow, or limit where obligations go with it.
package pdp

import data.pdp.order.sorted

# INVARIANT (fail closed): what cannot be judged is denied, whatever rule or datum is at fault.
default decision := {"outcome": "deny", "reasons": ["EVALUATION_ERROR"], "obligations": {}}

decision := {"outcome": "deny", "reasons": denying, "obligations": data.pdp.obligations.on_deny} if {
	count(denying) > 0
}

else := {
	"outcome": "step_up",
	"reasons": data.pdp.strength.causes,
	"obligations": {},
	"required_auth_level": data.pdp.strength.required_auth_level,
} if {
	denying == []
	count(data.pdp.strength.unmet) > 0
}

else := {
	"outcome": data.pdp.outcome.allow_or_limit,
	"reasons": data.pdp.outcome.reasons,
	"obligations": data.pdp.obligations.on_allow,
} if {
	denying == []
	data.pdp.strength.sufficient
}

# The codes of the first group that denies, in order; the empty list where every group passes.
denying := ["BAD_INPUT"] if not input_known

else := sorted(data.pdp.order.lifecycle, data.pdp.lifecycle.deny) if count(data.pdp.lifecycle.deny) > 0

else := sorted(data.pdp.order.separation, data.pdp.separation.deny) if count(data.pdp.separation.deny) > 0

else := sorted(data.pdp.order.device_class, data.pdp.device_class.deny) if count(data.pdp.device_class.deny) > 0

else := sorted(data.pdp.order.permits, data.pdp.permits.deny) if count(data.pdp.permits.deny) > 0

else := sorted(data.pdp.order.posture, data.pdp.posture.deny) if count(data.pdp.posture.deny) > 0

else := sorted(data.pdp.order.context, data.pdp.context.deny) if count(data.pdp.context.deny) > 0

else := []

# The service checks every key before it asks; this keeps a document of another version from being judged as this one.
input_known if input.schema == "pdp.input/v1"
