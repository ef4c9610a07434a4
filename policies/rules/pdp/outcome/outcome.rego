# The answer where no group denies and no step-up is needed: its name and its reasons.
package pdp.outcome

import data.pdp.obligations
import data.pdp.order

kind := "limit" if obligations.limiting

else := "allow"

# Exactly one primary code, then every warning, then the hour.
reasons := array.concat([primary], order.sorted(order.notes, noted))

primary := order.sorted(order.primary, applies)[0]

noted := warned | marked

warnings := order.sorted(order.notes, warned)
