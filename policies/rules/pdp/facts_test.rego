package pdp.facts_test

import data.pdp.facts
import data.pdp.fixtures_test as given

test_an_authentication_level_that_is_no_number_is_none if {
	facts.auth_level == 0 with input as given.with_facts(given.office, {"subject": {"auth_level": "3"}})
}

test_one_level_more_stops_at_the_highest if {
	[facts.one_level_more(1), facts.one_level_more(2), facts.one_level_more(3)] == [2, 3, 3]
}

test_a_section_terminal_counts_as_shared_unless_it_is_known_not_to_be if {
	facts.shared_terminal with input as json.remove(given.section_terminal, ["device/shared"])
	not facts.shared_terminal with input as given.section_terminal
	not facts.shared_terminal with input as given.with_facts(given.office, {"device": {"shared": true}})
}
