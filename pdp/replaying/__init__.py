"""Recorded decisions, recomputed: one by its id, or all of a time by what the policy can tell apart. docs/replay.md.

reading     the records of a time in batches, each once
grouping    a batch, by what the policy sees and what was answered
court       which bundle on which engines, and what they answer
tally       what was equal, what was not, what cannot be said
bulk        all of it, in order
single      one record
"""
