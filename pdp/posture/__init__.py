"""Posture that is pushed to us, what we hold of it, and the score that a gateway asks for."""
