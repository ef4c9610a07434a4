# The three codes for "no decision could be made". The service also gives them itself, where the policy cannot be asked.
package pdp.errors

# METADATA
# title: BAD_INPUT
# description: the input document is not a valid pdp.input/v1
# custom:
#   code: BAD_INPUT
#   group: error
#   fix: help_desk
#   user:
#     ja: 判定できないため拒否しました
#     en: Denied because no decision could be made.
#   admin:
#     ja: 入力が pdp.input/v1 の形でない（キーの欠落、型や値の誤り）。実施点の要求とアダプタの版を確認する。
#     en: "The document is not pdp.input/v1: a key is missing or a type or value is wrong. Check the enforcement point's request and the adapter's version."
bad_input := "BAD_INPUT"

# METADATA
# title: EVALUATION_ERROR
# description: the policy gave no answer; this is the default
# custom:
#   code: EVALUATION_ERROR
#   group: error
#   fix: help_desk
#   user:
#     ja: 判定できないため拒否しました
#     en: Denied because no decision could be made.
#   admin:
#     ja: ポリシーの評価が失敗したか答えを出せなかった。policies/data の欠けた値と直近の変更を確認し、必要なら切り戻す。
#     en: The evaluation failed or gave no answer. Check policies/data for missing values, look at the last change, roll back if needed.
evaluation_error := "EVALUATION_ERROR"

# METADATA
# title: POLICY_STALE
# description: the active policy is older than it may be
# custom:
#   code: POLICY_STALE
#   group: error
#   fix: help_desk
#   user:
#     ja: 判定できないため拒否しました
#     en: Denied because no decision could be made.
#   admin:
#     ja: 適用中のポリシーまたは台帳が許容時間より古い。配付元との接続を確認する。
#     en: The active policy or directory is older than allowed. Check the connection to where it comes from.
policy_stale := "POLICY_STALE"
