"""Alembic migrations of the control plane. One file per step; `pdp.store.store.Store.migrate` runs them."""
