"""The process in which a draft is tried out. Started as a program, never imported.

It reads one `Order` to the end of its input, writes one `Answer`, and ends.
"""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from pdp.engine.child_bounds import prepare_process
from pdp.errors import SekishoError
from pdp.gates.draft_faults import faults_report
from pdp.gates.draft_tests import tests_report
from pdp.gates.trying import NICE, Answer, Order


def main() -> None:
    """Arguments: the parent's process id, bytes of memory."""
    prepare_process(parent=int(sys.argv[1]), memory_limit_bytes=int(sys.argv[2]))
    os.nice(NICE)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    judge = faults_report if order.what == "check" else tests_report
    try:
        answer = Answer(report=asyncio.run(judge(order.files)))
    except SekishoError as fault:
        answer = Answer(fault=fault.message, where=getattr(fault, "where", None))
    except MemoryError:
        answer = Answer(fault="it takes more memory than there is for it")
    sys.stdout.buffer.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    main()
