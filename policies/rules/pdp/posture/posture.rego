# Group 5, posture: which of the findings count. The other files of this package find, this one decides.
package pdp.posture

import data.pdp.disaster.disaster_mode
import data.pdp.disaster.never_relaxed
import data.pdp.facts.parameters
import data.pdp.facts.private_device

deny := set() if not_judged

else := found & never_relaxed if disaster_mode

else := found

# So that a sick device can heal.
not_judged if input.resource.group in parameters.posture_not_judged

# Where this holds, posture may also warn and ask for a step-up.
judged_in_full if {
	not not_judged
	not disaster_mode
}

organisation_device if not private_device
