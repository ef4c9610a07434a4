"""Shared Signals Framework 1.0: security events in and out. `subjects.py` and `events.py` first."""
