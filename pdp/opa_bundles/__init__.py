"""The policy that decides here, as a bundle that any OPA pulls: `tarball.py` first."""
