"""The policy of record as rules for another enforcement point: written, read back, compared, certified, packed."""

from __future__ import annotations

import asyncio
import io
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.registry import make
from pdp.directory.snapshot import load_snapshot
from pdp.errors import SettingsError
from pdp.export.building import build_model
from pdp.export.catalogue import listed_resources, standing_since
from pdp.export.checking import Inputs, mapping_digest
from pdp.export.exporting import export
from pdp.export.matrix import MatrixTarget
from pdp.export.population import digest_of, weigher
from pdp.job_child.ground import ground_of
from pdp.jobs.job import Outcome
from pdp.plain_yaml import load_one
from pdp.revisions.opening import sealing_of
from pdp.space.asking import asker_for
from pdp.space.space import build_space

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.export.exporting import Finished
    from pdp.export.port import Target
    from pdp.job_child.ground import Say
    from pdp.jobs.job import Order
    from pdp.settings import Settings

MATRIX: Final = "matrix"
_CHILDREN: Final = 2
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)  # so that the same export is the same archive
_PHASES: Final = 4


async def work(order: Order, say: Say) -> Outcome:
    """Params: `target`. Raises ExportError, also where the files would be wider than the policy: nothing is kept."""
    name: str = order.params["target"]
    say("reading", 0, _PHASES)
    held = _mapping(name, order.settings)
    target = _target(name, held, order.settings)
    with ground_of(order) as ground:
        bundle = ground.of_record()
        snapshot = await asyncio.to_thread(load_snapshot, ground.store, order.now)
    say("space", 1, _PHASES)
    # Made anew each time, as for a proof: who can write to the folder of kept spaces could put another one there.
    space = await build_space(bundle, partial(asker_for, children=_CHILDREN))
    say("rules", 2, _PHASES)
    at = standing_since(bundle, snapshot, order.now)
    model = build_model(space, listed_resources(bundle, snapshot, at), at.isoformat(timespec="seconds"))
    say("comparing", 3, _PHASES)
    finished = export(
        space,
        model,
        target,
        weigher(space, model, snapshot, at),
        inputs=Inputs(mapping_digest(held), digest_of(snapshot)),
        key=sealing_of(order.settings).own(),
    )
    return Outcome(
        digest=bundle.digest,
        baseline=bundle.digest,  # when another policy is of record, this is old
        epoch=snapshot.epoch,
        label=name,
        form="zip",
        summary={"revision": bundle.revision, "systems": len(model.resources), **totals_of(finished)},
        body=packed(finished.files),
    )


def _mapping(name: str, settings: Settings) -> dict[str, Any]:
    """Raises SettingsError for one that cannot be read."""
    held: Any = {}
    if name != MATRIX and settings.export_mappings:
        path = Path(settings.export_mappings) / f"{name}.yaml"
        try:
            held = load_one(path.read_text(encoding="utf-8")) if path.exists() else {}
        except (OSError, ValueError) as fault:
            raise SettingsError(f"the mapping of `{name}` cannot be read: {type(fault).__name__}") from None
    if not isinstance(held, dict):
        raise SettingsError(f"the mapping of `{name}` must be an object of keys")
    return held


def _target(name: str, held: Mapping[str, Any], settings: Settings) -> Target:
    """Raises SettingsError for an unknown name, or a mapping that is amiss."""
    if name == MATRIX:
        return MatrixTarget()
    try:
        return make(name, held)
    except SettingsError as fault:
        where = "set `export_mappings` to a directory, and write" if not settings.export_mappings else "correct"
        raise SettingsError(fault.message, next_step=f"{where} `{name}.yaml` there, docs/export.md") from None


def totals_of(finished: Finished) -> dict[str, Any]:
    """Vectors are texts: they are beyond what JSON's readers count exactly."""
    certificate, counts = finished.certificate, finished.report.counts
    return {
        "rules": certificate.rules - certificate.left_out,
        "left_out": certificate.left_out,
        "vectors": str(sum(int(one.vectors) for one in counts)),
        "permitted": str(sum(int(one.permitted) for one in counts)),
        "exported": str(sum(int(one.exported) for one in counts)),
        "unsound": certificate.unsound,
        "gap": certificate.gap,
        "gaps": len(finished.report.gaps),
    }


def packed(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            archive.writestr(zipfile.ZipInfo(path, _LONG_AGO), files[path], zipfile.ZIP_DEFLATED)
    return out.getvalue()
