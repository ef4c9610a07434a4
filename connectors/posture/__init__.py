"""Connectors that read the state of devices. Each vendor is an island."""
