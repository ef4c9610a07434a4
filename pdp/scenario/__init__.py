"""Scenario files: one YAML document per story, run through a whole checkpoint. Format: access-rules, section 7."""
