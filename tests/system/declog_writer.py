"""A process that writes a decision log under load, for the tests that kill it.

    python -m tests.system.declog_writer DIRECTORY [--waiters N] [--durability D] [--file-limit BYTES]
        [--segment-bytes BYTES] [--records N] [--user UID] [--on-request]

Prints one line for each append, after it: `+ID` where it returned, `-ID` where it raised; `#STATUS` as JSON
at the end of `--records`. With `--on-request` an append is made for each byte read from standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures.thread  # noqa: F401  # else imported late, by a user who may not read the library
import os
import resource
import sys
from pathlib import Path

import msgspec
import uuid_utils

from pdp.declog.limits import Limits
from pdp.declog.segments import SegmentLog
from pdp.errors import RecordFailedError
from tests.unit.declog.samples import full_record, wall_clock


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--waiters", type=int, default=16)
    parser.add_argument("--durability", default="power")
    parser.add_argument("--file-limit", type=int)
    parser.add_argument("--segment-bytes", type=int, default=200_000)
    parser.add_argument("--records", type=int, default=10**9)
    parser.add_argument("--user", type=int)
    parser.add_argument("--on-request", action="store_true")
    arguments = parser.parse_args()
    if arguments.user is not None:  # root is refused nothing: a read-only directory needs somebody else
        os.setuid(arguments.user)
    if arguments.file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (arguments.file_limit, arguments.file_limit))
    asyncio.run(write(arguments))


async def write(arguments: argparse.Namespace) -> None:
    log = SegmentLog(
        arguments.directory,
        "w0",
        clock=wall_clock,
        durability=arguments.durability,
        max_segment_bytes=arguments.segment_bytes,
        limits=Limits(probe_s=0.01, min_free_bytes=0),
    )
    say(f"!{log.writable()}")
    if arguments.on_request:
        while await asyncio.to_thread(os.read, sys.stdin.fileno(), 1):
            await append_one(log)
    else:
        numbers = iter(range(arguments.records))

        async def keep_appending() -> None:
            for _ in numbers:
                await append_one(log)

        await asyncio.gather(*(keep_appending() for _ in range(arguments.waiters)))
    await log.close()
    say("#" + msgspec.json.encode(log.status()).decode())


async def append_one(log: SegmentLog) -> None:
    decision_id = str(uuid_utils.uuid7())
    try:
        await log.append(full_record(decision_id))
    except RecordFailedError:
        say(f"-{decision_id}")
    else:
        say(f"+{decision_id}")


def say(line: str) -> None:
    os.write(sys.stdout.fileno(), line.encode() + b"\n")  # unbuffered: what was answered is known outside at once


if __name__ == "__main__":
    main()
