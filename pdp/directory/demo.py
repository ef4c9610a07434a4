"""The demonstration prefecture at full size: invented people and terminals in the numbers of the specification.

7,500 licensed people (5,700 regular staff, the rest fixed-term), municipal staff, contractors, emergency
and shared accounts; 5,700 managed PCs, 2,300 section PCs, 430 lent terminals and 6,000 private devices; with
the bundle's catalogue 50 systems in service (`pdp.directory.demo_systems`), and the data of 29 municipalities.
The same seed and `now` give the same directory. Named people and devices for documentation stand in
`pdp.directory.personas`; posture ages from `now` on as everywhere, so a demonstration is written afresh
when the service starts.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from pdp.directory.changes import change
from pdp.directory.demo_people import LICENSED, STAFF, FiscalYear, people
from pdp.directory.demo_systems import demo_systems
from pdp.directory.demo_terminals import terminals
from pdp.directory.personas import personas
from pdp.directory.reading import read_registers
from pdp.directory.registers import REGISTERS, Registers, registers_of
from pdp.directory.runs import Counts, ImportRun, read_runs, record_run
from pdp.errors import DirectoryError
from pdp.model.directory import Emergency, Period

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.store.store import Store

SEED: Final = 20220701  # the month of the prefecture's specification
MODE: Final = "demonstration"


def demonstration(now: datetime, seed: int = SEED) -> Registers:
    """The whole prefecture as it stands at `now` (aware). Pure: the same arguments, the same registers."""
    year, chance = FiscalYear(now), Random(seed)  # noqa: S311  # invented people need no secrecy
    named, own = personas(year)
    kinds = Counter(user.kind for user in named)
    classes = Counter(device.class_ for device in own.devices)
    cast = people(year, chance, staff=STAFF - kinds["staff"], fixed_term=LICENSED - STAFF - kinds["fixed_term_staff"])
    park = terminals(year, chance, cast, less=dict(classes))
    last_autumn = now.replace(minute=0, second=0, microsecond=0) - timedelta(days=200)
    return registers_of(
        users=(*named, *cast.users),
        devices=(*own.devices, *park.devices),
        permits=(*own.permits, *park.permits),
        loans=(*own.loans, *park.loans),
        work_permits=(*own.work_permits, *park.work_permits),
        resources=demo_systems(),
        emergencies=[Emergency(Period(last_autumn, last_autumn + timedelta(hours=72)), "訓練: 南海トラフ地震")],
    )


def write_demonstration(store: Store, now: datetime, seed: int = SEED) -> int:
    """Put the demonstration into an empty directory, or renew it there; the epoch after it.

    Raises DirectoryError for a directory that holds anything but a demonstration: real registers are
    never replaced by invented ones.
    """
    registers = demonstration(now, seed)
    with change(store, now) as inside:
        held = read_registers(inside.connection)
        runs = read_runs(inside.connection, 1)
        if not held.is_empty() and (not runs or runs[0].mode != MODE):
            raise DirectoryError(
                "the directory holds registers that are not the demonstration",
                next_step="use another `state_dir` or `database_url` for the demonstration",
            )
        for register in reversed(REGISTERS):
            inside.remove(register, held.of(register))
        for register in REGISTERS:
            inside.add(register, registers.of(register))
        counts = {str(register): Counts(added=len(registers.of(register))) for register in REGISTERS}
        epoch = inside.epoch + 1
        record_run(inside.connection, ImportRun(now, MODE, MODE, epoch, (), counts))
    return epoch
