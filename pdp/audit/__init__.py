"""The audit over HTTP: who may ask what, with which eyes, and what is written down of it. `desk.py` is the way in."""
