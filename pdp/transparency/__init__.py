"""Proof that the decision log is whole. `notary.py` makes it, `inspection.py` checks it; see docs/audit-proof.md."""
