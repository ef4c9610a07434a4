# Group 2, separation of the My Number layer. There is no parameter here on purpose: nothing lifts the separation.
package pdp.separation

# METADATA
# title: SEGMENT_SEPARATED
# description: the My Number layer is reached from its own terminals only; nothing lifts this
# custom:
#   code: SEGMENT_SEPARATED
#   group: 2
#   fix: none
#   user:
#     ja: 個人番号利用事務系には専用端末からのみ接続できます
#     en: The My Number systems are reached only from their own terminals.
#   admin:
#     ja: 個人番号利用事務系へ専用端末以外から接続しようとした。例外措置、災害時運用、役割のいずれでも解除できない。
#     en: A device other than a mynumber_terminal tried to reach the My Number layer. No exception, disaster mode or role lifts this.
deny contains "SEGMENT_SEPARATED" if {
	input.resource.group == "mynumber"
	not dedicated_terminal
}

dedicated_terminal if input.device.class == "mynumber_terminal"
