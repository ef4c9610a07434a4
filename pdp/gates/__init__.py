"""The gates of this house (`pdp.revisions.gate`): loading, tests, scenarios, invariants, foresight."""
