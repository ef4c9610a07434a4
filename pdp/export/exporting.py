"""From a policy to a vendor's files: written, read back, compared with the policy, certified; and verified later.

1. the rule model, from the decision space
2. the target's files, from the rule model
3. what the files let through, by the target's interpreter, from the files alone
4. the comparison; an unsound export ends here, and nothing is written
5. `model.json`, `gaps.json` and `certificate.json` beside the files
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pdp.errors import ExportError
from pdp.export.checking import CERTIFICATE, GAPS, MODEL, Certificate, GapReport, certify, check
from pdp.model.rules import decode_model, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.export.checking import Report
    from pdp.export.port import Exported, Target
    from pdp.model.rules import RuleModel
    from pdp.space.space import DecisionSpace

    Weigh = Callable[[Report], Report]  # adds to each gap how many people and devices it can concern


class UnsoundExportError(ExportError):
    """The files would let something through that the policy denies. `report` has a counterexample for each system."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True, slots=True)
class Finished:
    """A sound export, ready to be written. `files` has the target's own and ours."""

    files: Mapping[str, bytes]
    certificate: Certificate
    report: Report
    exported: Exported


def export(space: DecisionSpace, model: RuleModel, target: Target, weigh: Weigh = lambda report: report) -> Finished:
    """Raises UnsoundExportError, ExportError as the target does, and SpaceError."""
    exported = target.export(model)
    for path in exported.files:
        refuse_path(path)
    files = {**exported.files, MODEL: encode(model)}
    interpreter = target.interpreter(files)
    report = check(space, model, interpreter)
    if not report.sound:
        raise UnsoundExportError(_unsound(target.name, report), report)
    report = weigh(report)
    gaps = GapReport(target.name, exported.left_out, report.gaps, exported.remarks)
    files[GAPS] = encode(gaps)
    certificate = certify(model, target.name, msgspec.structs.replace(exported, files=files), report, interpreter.given)
    return Finished({**files, CERTIFICATE: encode(certificate)}, certificate, report, exported)


def verify(space: DecisionSpace, target: Target, files: Mapping[str, bytes]) -> tuple[Certificate, Report]:
    """Hold exported files against their certificate and against the policy of this space, once more and from the files.

    Raises ExportError for a file that was changed, is missing or was added, or another policy; UnsoundExportError where
    what they let through is not what the policy permits now.
    """
    certificate = read_certificate(files)
    if certificate.target != target.name:
        raise ExportError(f"these are files for `{certificate.target}`")
    found = {path: hashlib.sha256(text).hexdigest() for path, text in files.items() if path != CERTIFICATE}
    for path in sorted(set(found) | set(certificate.files)):
        if found.get(path) != certificate.files.get(path):
            missing = path not in found
            raise ExportError(f"`{path}` is {'missing' if missing else 'not what was certified'}", where=path)
    if certificate.policy_digest != space.bundle.digest:
        raise ExportError(f"they were exported from another policy, revision `{certificate.policy_revision}`")
    try:
        model = decode_model(files[MODEL])
    except (KeyError, msgspec.DecodeError):
        raise ExportError("the rule model cannot be read", where=MODEL) from None
    interpreter = target.interpreter({path: text for path, text in files.items() if path not in (CERTIFICATE, GAPS)})
    report = check(space, model, interpreter)
    if not report.sound:
        raise UnsoundExportError(_unsound(target.name, report), report)
    if report.counts != certificate.counts or dict(interpreter.given) != certificate.given:
        raise ExportError("the counts are not those of the certificate", where=CERTIFICATE)
    return certificate, report


def read_certificate(files: Mapping[str, bytes]) -> Certificate:
    """Raises ExportError."""
    try:
        return msgspec.json.decode(files[CERTIFICATE], type=Certificate)
    except (KeyError, msgspec.DecodeError):
        raise ExportError("there is no certificate that can be read", where=CERTIFICATE) from None


def refuse_path(path: str) -> None:
    """A path of an export stays below its folder, and is not one of ours. Raises ExportError."""
    parts = path.split("/")
    if path in (MODEL, GAPS, CERTIFICATE) or any(part in ("", ".", "..") or "\\" in part for part in parts):
        raise ExportError(f"`{path}` is no path for an exported file")


def _unsound(name: str, report: Report) -> str:
    first = report.counterexamples[0]
    total = sum(int(one.unsound) for one in report.counts)
    return (
        f"`{name}` would let through {total:,} vectors that the policy denies, for example to `{first.resource}` "
        f"({', '.join(first.codes)}): {first.words.en}"
    )
