"""Names that a file has while it is written, before it gets its own. Pure.

INVARIANT (nothing unseen): a name is passed over only as what it would become. One that ends in `.tmp` alone would be
a place for whatever somebody wants to keep beside the log.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pdp.declog.homecoming import PROBE
from pdp.declog.verify import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

# `NAME.tmp`; of a copy that comes home, a name of each attempt (`pdp.declog.homecoming`)
_ASIDE: Final = re.compile(r"(.+?)(?:\.[0-9a-f]{1,16}-[0-9]{1,9})?\.tmp", re.ASCII | re.DOTALL)
_PROBES: Final = frozenset({PROBE, f"{PROBE}.tmp"})


def of_nobody(name: str, may_be: Callable[[str], bool], shown: str | None = None) -> Finding:
    """What a file is that no reader looks at: `left_over` where it would have become one of ours, else a stray.

    `may_be`: whether a file of this place may have such a name. `shown`: what it is called, where not by its name.
    """
    shape = _ASIDE.fullmatch(name)
    ours = name in _PROBES or (shape is not None and may_be(shape[1]))
    return Finding(shown or name, "left_over" if ours else "stray_file")
