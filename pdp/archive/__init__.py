"""The store of the decision log: sealed segments as Parquet, the fresh tail beside.

The seams are in `port.py`; docs/decision-log.md says the rest.
"""
