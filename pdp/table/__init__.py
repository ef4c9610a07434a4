"""A policy counted out beforehand (ADR 20), so that most questions need no evaluation: they are looked up (ADR 25)."""
