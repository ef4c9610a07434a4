# Group 6, authentication strength, and with it the whole of the step-up: who asks for more than the subject has.
package pdp.strength

import data.pdp.context.step_up as step_up_of_context
import data.pdp.disaster.disaster_mode
import data.pdp.facts.auth_level
import data.pdp.facts.parameters
import data.pdp.matrix.cell
import data.pdp.order.sorted
import data.pdp.posture.step_up as step_up_of_posture

# Disaster mode asks for its own level, no less and no more.
level := parameters.disaster_auth_level if disaster_mode

else := cell.level

# INVARIANT (fail closed): a cell without a level opens nothing.
sufficient if {
	is_number(level)
	auth_level >= level
}

# METADATA
# title: STEPUP_AUTH_STRENGTH
# description: the subject's authentication level is below the cell's
# custom:
#   code: STEPUP_AUTH_STRENGTH
#   group: 6
#   fix: user
#   user:
#     ja: 追加の本人確認が必要です
#     en: Please confirm your identity again.
#   admin:
#     ja: 認証の強さ（auth_level）が matrix.yaml の枠の level に満たない。required_auth_level の認証をやり直すと利用できる。
#     en: auth_level is below the level of the cell in matrix.yaml. Authenticate at required_auth_level.
step_up["STEPUP_AUTH_STRENGTH"] := level

asked := object.union_n([step_up, step_up_of_posture, step_up_of_context])

# Every cause whose own level is not met.
unmet := {code | some code, n in asked; n > auth_level}

causes := sorted(data.pdp.order.step_up, unmet)

required_auth_level := max([asked[code] | some code in unmet])
