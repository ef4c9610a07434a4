"""Which worker of pytest-xdist runs which module, and when: so that a clean run leaves no processor idle.

Half of what the system tests do is waiting: for servers to start, to be noticed missing, to be found again. So there is
one worker more than there are processors. It begins with the modules that wait, and the others with those that
compute; whoever is through with its own shift helps with the other. The longest modules begin first, or one of them
would run alone at the end. A module stays whole, as with `--dist=loadfile`: its servers start once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xdist.workermanage import WorkerController

# Seconds, alone on two quiet processors. A wrong number costs time and nothing else; `--durations=0` has the new ones.
SLOW: Final[Mapping[str, int]] = {
    "tests/system/test_cache_faults.py": 66,
    "tests/system/test_console.py": 65,
    "tests/contract/test_query_engines.py": 57,
    "tests/system/test_redis_faults.py": 57,
    "tests/system/test_keycloak.py": 54,
    "tests/contract/test_copies.py": 41,
    "tests/system/test_news_faults.py": 38,
    "tests/system/test_bench.py": 35,
    "tests/system/test_console_policies.py": 35,
    "tests/system/test_gateways_serve.py": 34,
    "tests/unit/gates/test_invariants.py": 33,
    "tests/unit/commands/test_doctor.py": 25,
    "tests/system/test_serve.py": 21,
    "tests/unit/commands/test_export.py": 20,
    "tests/system/test_news.py": 20,
    "tests/system/test_traefik.py": 19,
    "tests/unit/commands/test_revision.py": 19,
    "tests/unit/connectors/sase/test_envoy.py": 19,
    "tests/system/test_connectors.py": 17,
    "tests/system/test_replay.py": 16,
    "tests/system/test_forward_gateways.py": 16,
    "tests/unit/test_notary_process.py": 16,
    "tests/unit/gates/test_foresight.py": 16,
    "tests/system/test_scim.py": 15,
    "tests/system/test_audit_api.py": 14,
    "tests/system/test_posture_push.py": 14,
    "tests/unit/commands/test_caller.py": 13,
    "tests/contract/test_store.py": 13,
    "tests/system/test_callers.py": 13,
    "tests/system/test_crash.py": 12,
    "tests/unit/commands/test_archive.py": 12,
    "tests/unit/commands/test_audit_search.py": 12,
    "tests/contract/test_archive.py": 11,
    "tests/oracle/test_oracle.py": 11,
    "tests/unit/console/test_login.py": 10,
    "tests/unit/governance/test_jobs_api.py": 10,
    "tests/properties/test_store_crashes.py": 10,
    "tests/unit/archive/test_pseudonymising.py": 10,
    "tests/properties/test_whole_log.py": 10,
}
_USUAL_S: Final = 0.03  # a test of a module that is not named
WAITING: Final = ("tests/system/", "tests/contract/", "tests/unit/test_notary_process.py")


def waits(module: str) -> bool:
    return module.startswith(WAITING)


def by_length(modules: Mapping[str, int]) -> list[str]:
    """The modules, given with the number of their tests, longest first."""
    return sorted(modules, key=lambda module: -SLOW.get(module, modules[module] * _USUAL_S))


def next_module(queued: Sequence[str], *, for_waiting: bool) -> str:
    """The first of the worker's own shift, else the first of all."""
    return next((module for module in queued if waits(module) is for_waiting), queued[0])


def is_for_waiting(worker: str, workers: int) -> bool:
    """Workers are `gw0`, `gw1`, …; the last one begins with what waits. One alone has nobody to share with."""
    return worker == f"gw{workers - 1}"


class Shifts(LoadFileScheduling):
    """`--dist=loadfile` in this order."""

    def schedule(self) -> None:
        self.config.option.loadscopereorder = False  # it would put what has few tests last, which is what takes long
        super().schedule()

    def _assign_work_unit(self, node: WorkerController) -> None:
        queued = list(self.workqueue)
        sizes = {module: len(self.workqueue[module]) for module in queued}
        own = is_for_waiting(node.gateway.id, self.numnodes)
        self.workqueue.move_to_end(next_module(by_length(sizes), for_waiting=own), last=False)
        super()._assign_work_unit(node)
