"""From a policy to a vendor's files: written, read back, compared with the policy, certified; and verified later.

1. the rule model, from the decision space
2. the target's files, from the rule model
3. what the files let through, by the target's interpreter, from the files alone
4. the comparison; an unsound export ends here, and nothing is written
5. `model.json`, `gaps.json` and `certificate.json` beside the files
6. `certificate.sig`: the certificate signed with the deployment's own key, where there is one
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import BundleError, ExportError
from pdp.export.checking import CERTIFICATE, GAPS, MODEL, SCHEMA, Certificate, GapReport, Inputs, certify, check
from pdp.model.rules import decode_model, encode
from pdp.revisions.statement import read_signatures, signer_of, write_signatures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pdp.export.checking import Report
    from pdp.export.port import Exported, Target
    from pdp.model.rules import RuleModel
    from pdp.revisions.statement import SigningKey, TrustedKey
    from pdp.space.space import DecisionSpace

    Weigh = Callable[[Report], Report]  # adds to each gap how many people and devices it can concern


SIGNATURES: Final = "certificate.sig"
_BESIDE: Final = (CERTIFICATE, SIGNATURES)  # what no certificate can hold the digest of


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


def export(  # noqa: PLR0913  # what an export is made from, and by whom it is signed
    space: DecisionSpace,
    model: RuleModel,
    target: Target,
    weigh: Weigh = lambda report: report,
    *,
    inputs: Inputs = Inputs(),  # noqa: B008  # frozen
    key: SigningKey | None = None,
) -> Finished:
    """Raises UnsoundExportError, ExportError as the target does, and SpaceError. `key`: signs the certificate."""
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
    whole = msgspec.structs.replace(exported, files=files)
    certificate = certify(model, target.name, whole, report, given=interpreter.given, inputs=inputs)
    files[CERTIFICATE] = encode(certificate)
    if key is not None:
        files[SIGNATURES] = write_signatures([key.sign(files[CERTIFICATE].decode(), SCHEMA)]).encode() + b"\n"
    return Finished(files, certificate, report, exported)


def signer(files: Mapping[str, bytes], keys: Sequence[TrustedKey]) -> str | None:
    """The id of the key that signed the certificate; None where no key is known.

    Who signed says who stands behind the export; whether it is sound and unchanged `verify` says. Raises ExportError
    where none of the keys signed it.
    """
    if not keys:
        return None
    try:
        signatures = read_signatures(files[SIGNATURES].decode()) if SIGNATURES in files else ()
        signed_by = signer_of(files[CERTIFICATE].decode(), signatures, keys, SCHEMA)
    except (BundleError, KeyError, UnicodeDecodeError):
        raise ExportError("the signatures of the certificate cannot be read", where=SIGNATURES) from None
    if signed_by is None:
        how = "by none of the known keys" if signatures else "by nobody"
        raise ExportError(f"the certificate is signed {how}", where=SIGNATURES)
    return signed_by


def verify(
    space: DecisionSpace, target: Target, files: Mapping[str, bytes], *, mapping_sha256: str = ""
) -> tuple[Certificate, Report]:
    """Hold exported files against their certificate and against the policy of this space, once more and from the files.

    `mapping_sha256`: of the mapping that the target was made with (`mapping_digest`); empty: not compared. Raises
    ExportError for a file that was changed, is missing or was added, another policy or another mapping;
    UnsoundExportError where what they let through is not what the policy permits now.
    """
    certificate = read_certificate(files)
    if certificate.target != target.name:
        raise ExportError(f"these are files for `{certificate.target}`")
    if mapping_sha256 and certificate.mapping_sha256 != mapping_sha256:
        raise ExportError("they were exported with another mapping", where=CERTIFICATE)
    found = {path: hashlib.sha256(text).hexdigest() for path, text in files.items() if path not in _BESIDE}
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
    interpreter = target.interpreter({path: text for path, text in files.items() if path not in (*_BESIDE, GAPS)})
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
    if path in (MODEL, GAPS, *_BESIDE) or any(part in ("", ".", "..") or "\\" in part for part in parts):
        raise ExportError(f"`{path}` is no path for an exported file")


def _unsound(name: str, report: Report) -> str:
    first = report.counterexamples[0]
    total = sum(int(one.unsound) for one in report.counts)
    controls = "".join(f", without {name} {value}" for name, value in sorted(first.controls.items()))
    return (
        f"`{name}` would let through {total:,} vectors that the policy denies, for example to `{first.resource}` "
        f"({', '.join(first.codes)}{controls}): {first.words.en}"
    )
