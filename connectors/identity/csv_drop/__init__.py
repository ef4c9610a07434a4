"""People from a folder into which the personnel office drops CSV files. Read `source.py` first."""

from connectors.identity.csv_drop.source import connector

__all__ = ["connector"]
