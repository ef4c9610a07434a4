# The entry point, data.pdp.decision. Read this file first: it is the order of judgement.
#
# The first group that denies decides, and every code of it that holds is reported. Only where no group denies is a
# step-up asked for, and only where none is needed the answer is allow, or limit where obligations go with it.
package pdp

import data.pdp.context
import data.pdp.device_class
import data.pdp.errors
import data.pdp.lifecycle
import data.pdp.obligations
import data.pdp.order
import data.pdp.outcome
import data.pdp.permits
import data.pdp.posture
import data.pdp.separation
import data.pdp.strength

# INVARIANT (fail closed): what cannot be judged is denied, whatever rule or datum is at fault.
default decision := {"outcome": "deny", "reasons": ["EVALUATION_ERROR"], "obligations": {}}

decision := {"outcome": "deny", "reasons": denying, "obligations": obligations.on_deny} if {
	count(denying) > 0
}

else := {
	"outcome": "step_up",
	"reasons": strength.causes,
	"obligations": {},
	"required_auth_level": strength.required_auth_level,
} if {
	denying == []
	count(strength.causes) > 0
}

else := {"outcome": outcome.kind, "reasons": outcome.reasons, "obligations": obligations.on_allow} if {
	denying == []
	strength.sufficient
}

# The codes of the first group that denies, in order; the empty list where every group passes.
denying := [errors.bad_input] if not errors.input_known

else := order.sorted(order.lifecycle, lifecycle.deny) if count(lifecycle.deny) > 0

else := order.sorted(order.separation, separation.deny) if count(separation.deny) > 0

else := order.sorted(order.device_class, device_class.deny) if count(device_class.deny) > 0

else := order.sorted(order.permits, permits.deny) if count(permits.deny) > 0

else := order.sorted(order.posture, posture.deny) if count(posture.deny) > 0

else := order.sorted(order.context, context.deny) if count(context.deny) > 0

else := []
