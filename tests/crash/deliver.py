"""A process that carries a delivery on, to be killed: `python -m tests.crash.deliver STATE` goes on with the plan in hand.

As a script without an argument it kills such processes at every request of a delivery, one after the other:
`python -m tests.crash.deliver`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

DEADLINE_S = 60.0


def child(state: Path) -> None:
    """What `pdp export apply` does once its plan is in hand."""
    from connectors.registry import real_setup
    from connectors.sase.prisma_tenant import tenant
    from connectors.sase.prisma_things import courier
    from pdp.delivery.applying import Bounds, Hands, apply
    from pdp.delivery.journal import Journal
    from pdp.delivery.plan import Step

    given = json.loads((state / "child.json").read_bytes())
    hands = tenant(real_setup("test", given["access"]), courier(given["mapping"]))
    journal = Journal(state, "test")

    async def told(_: Step) -> None:
        return None

    async def run() -> None:
        in_hand = journal.in_hand()
        assert in_hand is not None
        async with hands:
            await apply(in_hand, hands, journal, Hands(lambda: "now", asyncio.sleep, told), Bounds())

    with journal.locked():
        asyncio.run(run())


def carry_on(state: Path, started: Callable[[subprocess.Popen[bytes]], None]) -> int:
    """A new process that goes on; how it ended. `started`: who kills it has to know it."""
    command = [sys.executable, "-m", "tests.crash.deliver", str(state)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}) as process:
        started(process)
        try:
            _, said = process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    if process.returncode not in {0, -signal.SIGKILL}:
        raise AssertionError(said.decode())
    return process.returncode


def killed_at(requests: Sequence[int], place: Path) -> tuple[int, Any]:
    """Deliver, with the process killed while it waits for the answer to each of these requests (1 is the first of a
    process); how many were killed, and the simulated tenant. Raises AssertionError where anything is not as it should.
    """
    from pdp.delivery.journal import InHand, Journal
    from tests.delivery_suite import plan_of
    from tests.simulators.scm import Scm
    from tests.simulators.worlds import Stage
    from tests.unit.connectors.sase.test_prisma_delivery import Tenants, mapping, part

    scm = Scm(job_looks=0)
    with Stage().playing(scm) as port:
        tenants = Tenants(place, port, scm)
        in_hand: InHand = asyncio.run(plan_of(tenants.world, part(9)))
        (place / "secret").write_text(tenants.hands.secrets["secret"])
        access = {**tenants.settings, "client_secret_file": str(place / "secret"), "poll_s": 0.01}
        (place / "child.json").write_text(json.dumps({"access": access, "mapping": mapping()}))
        journal = Journal(place, "test")
        with journal.locked():
            journal.take(in_hand)
        killed = 0
        for at in requests:
            number = len(scm.requests) + at

            def arm(process: subprocess.Popen[bytes], number: int = number) -> None:
                scm.meddling = {number: process.kill}

            if carry_on(place, arm) == 0:
                break
            killed += 1
        else:
            scm.meddling = {}
            assert carry_on(place, lambda _: None) == 0
        assert journal.in_hand() is None
        assert scm.running == scm.candidate
        wanted = {one.key.name for one in tenants.courier.things(part(9))}
        assert {one["name"] for held in scm.candidate.values() for one in held} == wanted
        bodies = [one.body for one in scm.requests if one.method == "POST" and b'"name"' in one.body]
        assert len(set(bodies)) == len(bodies) == len(wanted)  # nothing was asked for twice
    return killed, scm


def main() -> None:
    """Every request of a delivery, with a new tenant for each."""
    at = 1
    while True:
        with tempfile.TemporaryDirectory() as place:
            killed, _ = killed_at([at], Path(place))
        if not killed:
            break
        at += 1
    print(f"killed at each of {at - 1} requests; every delivery went on and arrived once")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(Path(sys.argv[1]))
    else:
        main()
