# The limits of a place. They are known before the posture is looked at, so that group 4 can ask whether the
# enforcement point is able to hold somebody to them.
package pdp.limits

import data.pdp.disaster.disaster_mode
import data.pdp.facts.edr_absence_place
import data.pdp.facts.edr_absence_tolerated
import data.pdp.facts.edr_state_known
import data.pdp.facts.emergency
import data.pdp.matrix.cell
import data.zta.matrix as tables

# Names of sets in data/matrix.yaml.
names contains cell.limits

names contains "screen_transfer" if cell.screen_transfer

names contains "recording" if cell.permit == "work"

names contains "recording" if emergency

names contains "browser_only" if edr_absence_tolerated

# INVARIANT (monotone): forgetting a fact never widens an answer. Disaster mode forgives an EDR whose state is not known,
# so such a terminal is limited like one that has none.
names contains "browser_only" if {
	disaster_mode
	edr_absence_place
	not edr_state_known
}

# INVARIANT (fail closed): undefined where a name has no entry in the data; what cannot be named cannot be enforced.
of_place := object.union_n(sets) if count(sets) == count(names)

sets := [limits | some name in names; limits := tables.limits[name]]
