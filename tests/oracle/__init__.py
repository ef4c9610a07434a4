"""An independent reading of the access rules, for differential tests; see `access_rules`."""
