# Which cell of data/matrix.yaml this request falls into. Undefined where the matrix says ×.
package pdp.matrix

import data.pdp.facts.outside
import data.zta.matrix as tables

# A business system that has not moved is judged like the LGWAN segment it is still in.
row := "lgwan" if not_yet_moved

else := "legacy_readonly" if {
	input.resource.group == "legacy"
	input.resource.status == "readonly"
}

else := input.resource.group

not_yet_moved if {
	input.resource.group == "business"
	not moved
}

# Every segment but `lgwan`, by name.
moved if input.resource.segment in {"cloud", "internet", "mynumber"}

# Step by step, because the embedded engine is slow at several variables in one reference.
places := classes[input.device.class] if classes := tables.rows[row]

# A column may name one zone (`office`, `ip_vpn`); `outside` stands for every other zone but the office.
cell := here if here := places[input.context.zone]

else := places.outside if outside
