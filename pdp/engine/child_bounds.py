"""What a process of ours does before anything else: its signals, its limits, and its end together with its parent."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def prepare_process(parent: int, memory_limit_bytes: int) -> None:
    """`parent`: the process that started this one. Where it has gone already, this one ends here."""
    # The parent decides when this process ends: by closing the pipe, or by SIGKILL. A terminal's Ctrl-C and
    # a service manager's SIGTERM reach the whole group, and must not deny what the parent still answers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Both survive exec: a parent that ignores or blocks SIGALRM would disarm every deadline here.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold people's data
    resource.setrlimit(resource.RLIMIT_DATA, (memory_limit_bytes, memory_limit_bytes))
