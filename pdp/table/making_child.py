"""The process in which a policy is counted out and laid out as a table. Started as a program, never imported.

It reads one `Order` to the end of its input, keeps the table, writes one `Made`, and ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from pdp.bundle.bundle import bundle_of_canonical
from pdp.engine.child_bounds import prepare_process
from pdp.errors import SekishoError, SpaceError
from pdp.space.asking import asker_for
from pdp.space.keeping import Shelf, kept_space
from pdp.table.kept import keep_table
from pdp.table.making import MAX_CHARS, NICE, Made, Order

_FIRST_TO_GO: Final = "1000"  # proc(5), oom_score_adj


def main() -> None:
    """Arguments: the parent's process id, bytes of memory."""
    prepare_process(parent=int(sys.argv[1]), memory_limit_bytes=int(sys.argv[2]))
    os.nice(NICE)
    with suppress(OSError):  # where memory is short, the kernel ends this process, and no worker
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(_made(order)))


def _made(order: Order) -> Made:
    try:
        shelf = Shelf(Path(order.folder), order.secret)
        bundle = bundle_of_canonical(order.canonical.encode())
        keep_table(shelf, asyncio.run(kept_space(shelf, bundle, partial(asker_for, children=1))))
    except SpaceError as fault:
        return Made(fault.message[:MAX_CHARS], fault.where and fault.where[:MAX_CHARS], lasting=True)
    except SekishoError as fault:
        return Made(fault.message[:MAX_CHARS])
    except MemoryError:
        return Made("the decision space is larger than the memory for it", lasting=True)
    except OSError as fault:
        return Made(f"the table cannot be kept: {fault.strerror}")
    except Exception as fault:  # noqa: BLE001  # nobody reads a stack trace here; the name is a beginning
        return Made(f"counting out failed ({type(fault).__name__})")
    return Made()


if __name__ == "__main__":
    main()
