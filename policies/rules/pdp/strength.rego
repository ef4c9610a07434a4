# Group 6, authentication strength, and with it the whole of the step-up: who asks for more than the subject has.
package pdp.strength

import data.pdp.context
import data.pdp.disaster
import data.pdp.facts
import data.pdp.matrix
import data.pdp.order
import data.pdp.posture
import data.zta.parameters

# Disaster mode asks for its own level, no less and no more.
level := parameters.disaster_auth_level if disaster.applies

else := matrix.cell.level

# Allowed is only who reaches a level that is known: a cell without one opens nothing.
sufficient if facts.auth_level >= level

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
asked["STEPUP_AUTH_STRENGTH"] := level

asked[code] := n if some code, n in posture.step_up

asked[code] := n if some code, n in context.step_up

# Every cause whose own level is not met, in order.
causes := [code |
	some code in order.step_up
	asked[code] > facts.auth_level
]

required_auth_level := max([asked[code] | some code in causes])
