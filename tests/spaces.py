"""The decision space of the shipped policy and a rule model of it, made once for all tests of a run (and of the next).

What is kept is bound to the policy and to the text of `pdp/space`; another worker that needs it meanwhile waits.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from functools import cache, partial
from pathlib import Path

from pdp.bundle.bundle import Bundle, read_bundle
from pdp.directory.demo_systems import demo_systems
from pdp.export.building import build_model
from pdp.export.catalogue import listed_resources
from pdp.model.directory import snapshot_of
from pdp.model.rules import RuleModel
from pdp.space.asking import asker_for
from pdp.space.keeping import Shelf, kept_space
from pdp.space.space import DecisionSpace
from pdp.table.decision_table import DecisionTable, table_of
from pdp.table.laid import laid_out

ROOT = Path(__file__).parents[1]
POLICIES = ROOT / "policies"
SECRET = b"what the tests seal their spaces"
DAY = datetime(
    2023, 8, 1, 10, tzinfo=timezone(timedelta(hours=9))
)  # the new systems in service, the old ones read-only


def kept_in() -> Path:
    """The folder of the spaces that were made with this text of `pdp/space`."""
    text = b"".join(path.read_bytes() for path in sorted((ROOT / "pdp" / "space").glob("*.py")))
    folder = ROOT / ".pytest_cache" / "spaces" / hashlib.sha256(text).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def space_of(bundle: Bundle) -> DecisionSpace:
    """The decision space of a bundle: made, or kept from an earlier run."""
    folder = kept_in()
    with (folder / "lock").open("w") as lock, ThreadPoolExecutor(1) as other:  # a loop may run in this thread
        fcntl.flock(lock, fcntl.LOCK_EX)
        asker = partial(asker_for, children=2)
        return other.submit(lambda: asyncio.run(kept_space(Shelf(folder, SECRET), bundle, asker))).result()


@cache
def shipped_space() -> DecisionSpace:
    return space_of(read_bundle(POLICIES))


@cache
def shipped_table() -> DecisionTable:
    space = shipped_space()
    return table_of(laid_out(space.bundle.digest, space.facts, space.diagram, space.verdict))


@cache
def shipped_model() -> RuleModel:
    """The rules of the shipped catalogue on DAY."""
    space = shipped_space()
    return build_model(space, listed_resources(space.bundle, snapshot_of(epoch=1), DAY), DAY.isoformat())


def every_control() -> list[str]:
    """What `enforces` of a mapping says where every control of the shipped policy is carried out, as strictly."""
    names = {control for rule in shipped_model().rules for control in rule.controls}
    valued = {"session_max_minutes": "session_max_minutes=60", "end_at": "end_at=work_permit_until"}
    return sorted(valued.get(name, name) for name in names)


@cache
def demonstration_model(*systems: str) -> RuleModel:
    """The rules of the demonstration prefecture on DAY, for these systems; none named: for all of its 87."""
    space = shipped_space()
    listed = listed_resources(space.bundle, snapshot_of(epoch=1, resources=demo_systems()), DAY)
    return build_model(space, [one for one in listed if not systems or one[0].id in systems], DAY.isoformat())
