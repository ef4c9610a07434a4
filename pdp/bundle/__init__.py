"""A policy bundle: Rego modules, their data, their reasons, and the digest that names them."""
