"""`pdp replay`: recorded decisions, recomputed from their own records and compared."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from pdp.commands.call import StateCall, spread
from pdp.commands.options import BundleDir, OpaUrl

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.settings import Settings

Engines = Literal["regorus", "opa", "both"]
_DEADLINE_MS = 5_000  # of one document: nobody waits for an answer, and another may use the machine


@spread
def replay(
    call: StateCall,
    decision_id: Annotated[str | None, Option("--id", help="One decision, by its id.")] = None,
    since: Annotated[str | None, Option("--since", help="All decisions from this time on (with its offset).")] = None,
    until: Annotated[str | None, Option("--until", help="Up to this time, which is not in it.")] = None,
    person: Annotated[str | None, Option("--person", help="Only of this person.")] = None,
    department: Annotated[str | None, Option("--department", help="Only of people of this department.")] = None,
    device: Annotated[str | None, Option("--device", help="Only from this device.")] = None,
    resource: Annotated[str | None, Option("--resource", help="Only to this resource.")] = None,
    outcome: Annotated[list[str] | None, Option("--outcome", help="Only with this outcome; several times.")] = None,
    reason: Annotated[list[str] | None, Option("--reason", help="Only with this reason; several times.")] = None,
    caller: Annotated[str | None, Option("--caller", help="Only asked by this enforcement point.")] = None,
    revision: Annotated[str | None, Option("--revision", help="Only by this policy revision.")] = None,
    against: Annotated[
        Path | None, Option("--against", metavar="DIR", help="What if this bundle had decided instead?")
    ] = None,
    sample: Annotated[int | None, Option("--sample", min=1, help="About so many of them, evenly.")] = None,
    out: Annotated[Path | None, Option("--out", help="Write each decision that differs as a JSON line.")] = None,
    every_input: Annotated[
        bool, Option("--every-input", help="Judge every document that differs at all, not what the policy can see.")
    ] = False,
    bundle: BundleDir = None,
    engine: Annotated[Engines | None, Option("--engine", help="Rego engine, or both; default: the setting.")] = None,
    opa_url: OpaUrl = None,
) -> None:
    """Recompute decisions of the log, one by its id or all of a time, and compare. Exit code 1 where they differ.

    Each is judged by the bundle that decided it, from the archive of policies (`pdp bundle archive`). Docs: replay.md.
    """
    from pdp.commands.composed import bundle_of, run
    from pdp.commands.replay_many import Asked, replay_many
    from pdp.commands.replay_one import replay_one
    from pdp.errors import BadRequestError

    terminal, settings = call.terminal, call.settings(bundle=bundle, opa_url=opa_url)
    chosen = engines_of(settings, engine)
    named: dict[str, str | None] = {
        "since": since,
        "until": until,
        "person": person,
        "department": department,
        "device": device,
        "resource": resource,
        "caller": caller,
        "revision": revision,
    }
    params = {name: [value] for name, value in named.items() if value is not None}
    params |= {name: values for name, values in (("outcome", outcome), ("reason", reason)) if values}
    if (decision_id is None) is (not params):
        raise BadRequestError(
            "either one decision or a time is asked for", next_step="give `--id`, or `--since` and `--until`"
        )
    override = bundle_of(settings) if bundle is not None else None
    load = loader_of(settings, override)
    if decision_id is not None:
        if sample is not None or out is not None or every_input:
            raise BadRequestError("`--sample`, `--out` and `--every-input` are for a time, not for one decision")
        run(replay_one(terminal, settings, decision_id, chosen, load, override, against))
        return
    run(replay_many(terminal, settings, Asked(params, against, sample, out, every_input), chosen, load))


def engines_of(settings: Settings, engine: Engines | None) -> dict[str, Callable[[], Engine]]:
    """How each engine that is asked for is made, by its name."""
    import os

    import msgspec

    from pdp.parts import open_engine

    deadline = max(settings.engine_deadline_ms, _DEADLINE_MS)
    names: list[Literal["regorus", "opa"]] = ["regorus", "opa"] if engine == "both" else [engine or settings.engine]

    def maker(name: Literal["regorus", "opa"]) -> Callable[[], Engine]:
        own = msgspec.structs.replace(settings, engine=name, engine_deadline_ms=deadline)
        return lambda: open_engine(own, children=os.cpu_count() or 1)

    return {name: maker(name) for name in names}


def loader_of(settings: Settings, override: Bundle | None) -> Callable[[str], Bundle]:
    """Where the bundle of a digest is had: the override where it is that one, the archive, the configured one.

    A digest leaves no doubt, whoever gives the bundle.
    """
    from pdp.commands.composed import bundle_of
    from pdp.errors import BundleError, NotReadyError
    from pdp.parts import bundle_archive

    archive = bundle_archive(settings)

    def load(digest: str) -> Bundle:
        if override is not None and override.digest == digest:
            return override
        try:
            return archive.load(digest)
        except NotReadyError:
            with suppress(BundleError):
                configured = bundle_of(settings)
                if configured.digest == digest:  # recorded before policies were archived
                    return configured
            raise

    return load
