"""What a worker does whose policy nobody has confirmed for too long (`pdp.revisions.lease`)."""

from __future__ import annotations

from typing import Literal

LeaseEnd = Literal["deny_unless_disaster", "deny", "keep"]
