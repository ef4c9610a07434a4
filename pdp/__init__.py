"""Sekisho (関所): a zero-trust policy decision point. Open `pdp/decide.py` first."""

__version__ = "0.1.0"
