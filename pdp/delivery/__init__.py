"""Exported rules into a vendor's tenant: planned, applied in the safe order, resumed, watched. `port.py` first."""
