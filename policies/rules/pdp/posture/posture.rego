# Group 5, posture: which of the findings count. The other files of this package find, this one decides.
package pdp.posture

import data.pdp.disaster
import data.pdp.facts
import data.zta.parameters

deny := set() if not_judged

else := found & disaster.never_relaxed if disaster.applies

else := found

# So that a sick device can heal.
not_judged if input.resource.group in parameters.posture_not_judged

# Where this holds, posture may also warn and ask for a step-up.
judged_in_full if {
	not not_judged
	not disaster.applies
}

organisation_device if not facts.private_device

fact := input.device.posture
