"""The process in which a policy is counted out for its table. Started as a program, never imported.

It reads one `Order` to the end of its input, keeps the space, writes one `Made`, and ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path

import msgspec

from pdp.bundle.bundle import bundle_of_canonical
from pdp.engine.regorus_child import prepare_process
from pdp.errors import SekishoError, SpaceError
from pdp.space.asking import asker_for
from pdp.space.keeping import Shelf, kept_space
from pdp.table.making import NICE, Made, Order


def main() -> None:
    """Arguments: the parent's process id, bytes of memory."""
    prepare_process(parent=int(sys.argv[1]), memory_limit_bytes=int(sys.argv[2]))
    os.nice(NICE)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    try:
        shelf = Shelf(Path(order.folder), Path(order.secret_file).read_bytes())
        bundle = bundle_of_canonical(order.canonical.encode())
        asyncio.run(kept_space(shelf, bundle, partial(asker_for, children=1)))
        made = Made()
    except SpaceError as fault:
        made = Made(fault.message, fault.where, lasting=True)
    except SekishoError as fault:
        made = Made(fault.message)
    except MemoryError:
        made = Made("the decision space is larger than the memory for it", lasting=True)
    except OSError as fault:
        made = Made(f"the space cannot be kept: {fault.strerror}")
    sys.stdout.buffer.write(msgspec.json.encode(made))


if __name__ == "__main__":
    main()
