"""Targets of `pdp export`: one module for each vendor's rules (docs/export.md)."""
