"""Events of other houses: taken, kept, and acted on. `streams.py` first."""
