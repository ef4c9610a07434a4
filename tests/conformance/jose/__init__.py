"""Tokens and proofs of outside sources, checked as the service and the command check them."""
