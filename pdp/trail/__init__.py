"""Who asked what of the audit, and who changed what: append-only. `event.py` first; docs/audit-api.md says the rest."""
