"""Recorded decisions, followed in the segments and shipped to other systems: docs/siem.md."""
