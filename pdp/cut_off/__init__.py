"""Who and what is cut off at once: lists that gateways pull. `entries.py` first."""
