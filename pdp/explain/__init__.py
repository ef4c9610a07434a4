"""Why this answer, and what would make it another one. Pure: the policy is asked through `evaluate`."""
