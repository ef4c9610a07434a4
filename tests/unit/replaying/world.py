"""A log of decisions that a small policy really made, its archive of policies, and replays of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import regorus

from pdp.archive.asking import Filters
from pdp.archive.session import EngineLimits
from pdp.bundle.bundle import Bundle, make_bundle
from pdp.bundle.footprint import Footprint
from pdp.bundle_archive import BundleArchive
from pdp.declog.record import encode_record, read_record, record_of
from pdp.engine.footprint_check import bundle_footprint
from pdp.engine.port import Engine
from pdp.errors import EngineError
from pdp.judging import judge_raw
from pdp.model.decision import EVALUATION_ERROR, Verdict, denied
from pdp.model.input import InputV1, encode_input
from pdp.replaying.bulk import Progress, Replay
from pdp.replaying.court import Court
from pdp.replaying.reading import LogReader
from pdp.replaying.tally import Report
from tests.unit.archive.logs import Worker
from tests.unit.declog.samples import START, decision, request, uuid7_at

# It reads the level, the class of the device and the departments, and neither a person nor an instant.
RULES = """package pdp

default decision := {"outcome": "deny", "reasons": ["NO"], "obligations": {}}

decision := {"outcome": "step_up", "reasons": ["STRONGER"], "obligations": {}, "required_auth_level": 3} if {
	input.subject.auth_level < LEAST
}

else := {"outcome": "limit", "reasons": ["OK"], "obligations": {"save": "off", "print": "off"}} if {
	input.device.class == "byod_pc"
}

else := {"outcome": "allow", "reasons": ["OK"], "obligations": {}} if {
	"tax" in input.subject.departments
}
"""
_REASON = """
# METADATA
# title: {code}
# description: {code}
# custom:
#   code: {code}
#   group: {group}
#   fix: none
#   user: {{ja: 文, en: text}}
#   admin: {{ja: 文, en: text}}
{name} := true
"""


def policy(revision: str = "one", least: int = 2, rules: str = RULES) -> Bundle:
    """A zta bundle; `least` is the authentication level below which it asks for a stronger one."""
    reasons = "".join(
        _REASON.format(code=code, group=group, name=f"r_{code.lower()}")
        for code, group in (("OK", "ok"), ("NO", "1"), ("STRONGER", "1"))
    )
    metadata = {"profile": "zta", "entrypoint": "pdp/decision", "ttl_seconds": 60}
    return make_bundle(
        manifest={"revision": revision, "metadata": metadata},
        modules={"pdp.rego": rules.replace("LEAST", str(least)) + reasons},
        data={},
    )


PLAIN = make_bundle(
    manifest={"revision": "plain", "metadata": {"profile": "plain", "entrypoint": "app/allow"}},
    modules={"app.rego": "package app\n\ndefault allow := false\n\nallow if input.weight > 1.5\n"},
    data={},
)


class Inline:
    """The port `Engine` over regorus in this very process: quick, and fit for policies of our own."""

    name = "inline"

    def __init__(self, wrong: Sequence[bytes] = ()) -> None:
        self.asked: list[bytes] = []
        self._engine: Any = None
        self._wrong = wrong  # documents that hold one of these are denied

    def another(self) -> Inline:
        """For another bundle; what they are asked is told in one list."""
        other = Inline(self._wrong)
        other.asked = self.asked
        return other

    async def activate(self, bundle: Bundle) -> None:
        self._engine = regorus.Engine()
        for name, text in bundle.modules.items():
            self._engine.add_policy(name, text)
        self._engine.add_data_json(msgspec.json.encode(bundle.data).decode())
        self._query = bundle.query

    async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
        del digest
        self.asked += documents
        return [self._one(document) for document in documents]

    def _one(self, document: bytes) -> bytes | EngineError:
        if any(word in document for word in self._wrong):
            return b'{"outcome":"deny","reasons":["NO"],"obligations":{}}'
        clone = self._engine.clone()
        clone.set_input_json(document.decode())
        value = clone.eval_rule_as_json(self._query)
        return EngineError("no verdict") if value == '"<undefined>"' else value.encode()

    async def close(self) -> None:
        """regorus' engine must be let go of in the thread that made it."""
        self._engine = None


class World:
    """`decide` records what the policy says of documents, one a second; the log is below `root`."""

    def __init__(self, root: Path, *bundles: Bundle) -> None:
        self.log = root / "decisions"
        self.archive = BundleArchive(root / "bundles")
        self.worker = Worker(self.log)
        self.bundle = bundles[0] if bundles else policy()
        for bundle in bundles or (self.bundle,):
            self.archive.keep(bundle)
        self.decided = 0

    async def decide(self, documents: Sequence[InputV1 | bytes], **others: Any) -> list[str]:
        """The ids. `others` are fields of the record that are put in afterwards."""
        engine = Inline()
        await engine.activate(self.bundle)
        texts = [one if isinstance(one, bytes) else encode_input(one) for one in documents]
        records = []
        for raw, document in zip(await engine.evaluate(texts), texts, strict=True):
            records.append(self._record(document, judged(raw, self.bundle), others))
        await engine.close()
        self.worker.write(records)
        return [read_record(record).id for record in records]

    def _record(self, document: bytes, verdict: Verdict, others: dict[str, Any]) -> bytes:
        at = START + timedelta(seconds=self.decided)
        self.decided += 1
        made = record_of(
            decision(
                uuid7_at(at, self.decided),
                verdict=verdict,
                document=document,
                at=at,
                policy_revision=self.bundle.revision,
                bundle_digest=self.bundle.digest,
            ),
            request(),
            time=at,
            caller_id="gateway-1",
            profile=self.bundle.profile,
            steps_us={"engine": 640},
        )
        return encode_record(msgspec.structs.replace(read_record(made), **others)) if others else made

    def court(self, *engines: Inline, every_input: bool = False) -> Court:
        made: dict[str, Callable[[], Engine]] = {
            f"engine {number}": one.another for number, one in enumerate(engines or [Inline()])
        }
        return Court(
            made,
            self.archive.load,
            every_input=every_input,
            sight=sight,
        )

    def reader(self, *, since: datetime | None = None, until: datetime | None = None, **others: Any) -> LogReader:
        sample = others.pop("sample", None)
        bounds = (since or START - timedelta(days=1)), (until or START + timedelta(days=2))
        naive = [bound.replace(tzinfo=None) for bound in bounds]
        return LogReader([self.log], Filters(naive[0], naive[1], **others), EngineLimits(memory_mb=256), sample)

    async def replay(
        self,
        *engines: Inline,
        draft: Bundle | None = None,
        out: BytesIO | None = None,
        every_input: bool = False,
        progress: Progress | None = None,
        **filters: Any,
    ) -> Report:
        async with self.court(*engines, every_input=every_input) as court:
            replay = Replay(self.reader(**filters), court, draft=draft, out=out)
            return await replay.run(progress or Progress())


_SIGHTS: dict[str, Footprint] = {}


def sight(bundle: Bundle) -> Footprint:
    """As the service sees it; the parser's process is started once for each policy."""
    if bundle.digest not in _SIGHTS:
        _SIGHTS[bundle.digest] = bundle_footprint(bundle)
    return _SIGHTS[bundle.digest]


def judged(raw: bytes | EngineError, bundle: Bundle) -> Verdict:
    try:
        return judge_raw(raw, bundle)
    except EngineError:
        return denied(EVALUATION_ERROR)
