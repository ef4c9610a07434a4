package pdp.order_test

import data.pdp.order

test_codes_come_out_in_the_order_of_the_list if {
	order.sorted(["A", "B", "C"], {"C", "A"}) == ["A", "C"]
}

test_no_code_stands_in_two_groups_that_deny if {
	lists := [order.lifecycle, order.separation, order.device_class, order.permits, order.posture, order.context]
	codes := [code | some list in lists; some code in list]
	count(codes) == count({code | some code in codes})
}
