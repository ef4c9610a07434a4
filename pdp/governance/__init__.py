"""Revisions of policies over HTTP: `/admin/v1`. `desk.py` first; docs/revisions.md says the rest."""
