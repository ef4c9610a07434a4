"""Verdicts that need not be evaluated again: in this process, and shared through Redis."""
