"""Security events to other houses: what changes in our registers ends sessions elsewhere. `happenings.py` first."""
