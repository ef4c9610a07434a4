"""The decision log: no answer without a record. `segments.py` is the way in; docs/decision-log.md says the rest."""
