"""Jobs and results, as the API tells them: plain JSON values. Pure."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pdp.declog.marks import rfc3339

if TYPE_CHECKING:
    from pdp.jobs.job import Job
    from pdp.revisions.results import Kept

Json = dict[str, Any]
_SUMMARIES: Final = ("certificate.json", "gaps.json")  # of an export, told as JSON


def unpacked(archive: bytes) -> Json:
    """What of our own archive is told. Its size was bounded when it was kept."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        names = opened.namelist()
        found: Json = {
            name.removesuffix(".json"): json.loads(opened.read(name)) for name in _SUMMARIES if name in names
        }
    return {**found, "files": names}


def job_told(job: Job) -> Json:
    return _plain({**asdict(job), "params": dict(job.params)})


def result_told(kept: Kept) -> Json:
    told = _plain({**asdict(kept), "params": dict(kept.params), "summary": dict(kept.summary)})
    return {**told, "directory_epoch": told.pop("epoch")}


def _plain(values: Json) -> Json:
    return {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in values.items()}
