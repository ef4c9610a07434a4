"""Rego engines behind one port: regorus in a child process (default) and an OPA server."""
