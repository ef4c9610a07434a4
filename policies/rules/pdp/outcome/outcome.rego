# The answer where no group denies and no step-up is needed: its name and its reasons.
package pdp.outcome

import data.pdp.obligations.limiting
import data.pdp.order.sorted

kind := "limit" if limiting

else := "allow"

# Exactly one primary code, then every warning, then the hour.
reasons := array.concat([primary], sorted(data.pdp.order.notes, noted))

primary := codes[0] if codes := sorted(data.pdp.order.primary, applies)

first_warning := codes[0] if codes := sorted(data.pdp.order.notes, warned)

noted := warned | marked
