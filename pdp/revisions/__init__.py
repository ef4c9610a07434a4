"""Policies as they come, are approved, serve and go: read `states.py` first; docs/revisions.md says the rest."""
