from __future__ import annotations

import csv
import io

import msgspec
import openpyxl
import pytest

from pdp.errors import ExportError
from pdp.export.checking import CERTIFICATE, GAPS, MODEL, check
from pdp.export.exporting import UnsoundExportError, export, verify
from pdp.export.matrix import CSV, XLSX, MatrixTarget
from pdp.export.port import Exported, Interpreter
from pdp.model.rules import FactValue, RuleModel, Words
from tests.spaces import shipped_model, shipped_space


class Wide(MatrixTarget):
    """Forgets what it asks of private phones' permits."""

    def export(self, model: RuleModel) -> Exported:
        files = super().export(model).files
        return Exported({**files, CSV: files[CSV].replace(b'""device.permit"":[""valid""],', b"")})


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return dict(export(shipped_space(), shipped_model(), MatrixTarget()).files)


def test_an_export_is_certified_and_the_same_in_every_run(files: dict[str, bytes]) -> None:
    assert set(files) == {CSV, XLSX, MODEL, GAPS, CERTIFICATE}
    assert dict(export(shipped_space(), shipped_model(), MatrixTarget()).files) == files
    certificate, report = verify(shipped_space(), MatrixTarget(), files)
    assert (certificate.unsound, certificate.gap, certificate.left_out) == ("0", "0", 0)
    assert report.sound


def test_an_export_that_is_wider_than_the_policy_ends_with_a_counterexample() -> None:
    with pytest.raises(UnsoundExportError, match="PERMIT_MISSING") as fault:
        export(shipped_space(), shipped_model(), Wide())
    assert fault.value.report.counterexamples[0].facts["device.class"].startswith("byod_")


@pytest.mark.parametrize("path", [CSV, XLSX, MODEL, GAPS])
def test_a_file_that_was_changed_is_found(files: dict[str, bytes], path: str) -> None:
    with pytest.raises(ExportError, match="not what was certified"):
        verify(shipped_space(), MatrixTarget(), {**files, path: files[path] + b" "})
    with pytest.raises(ExportError, match="is missing"):
        verify(shipped_space(), MatrixTarget(), {name: text for name, text in files.items() if name != path})
    with pytest.raises(ExportError, match="not what was certified"):
        verify(shipped_space(), MatrixTarget(), {**files, "more.csv": b"x"})


def test_a_certificate_that_was_made_up_is_found_by_comparing_once_more(files: dict[str, bytes]) -> None:
    """Attack: widen the file and put its digest into the certificate."""
    import hashlib

    wide = files[CSV].replace(b'""device.permit"":[""valid""],', b"")
    held = msgspec.json.decode(files[CERTIFICATE])
    held["files"][CSV] = hashlib.sha256(wide).hexdigest()
    with pytest.raises(UnsoundExportError):
        verify(shipped_space(), MatrixTarget(), {**files, CSV: wide, CERTIFICATE: msgspec.json.encode(held)})


def test_another_target_or_policy_or_no_certificate_is_refused(files: dict[str, bytes]) -> None:
    held = msgspec.json.decode(files[CERTIFICATE])
    for change, why in (({"target": "envoy"}, "files for `envoy`"), ({"policy_digest": "0" * 64}, "another policy")):
        wrong = msgspec.json.encode({**held, **change})
        with pytest.raises(ExportError, match=why):
            verify(shipped_space(), MatrixTarget(), {**files, CERTIFICATE: wrong})
    with pytest.raises(ExportError, match="no certificate"):
        verify(shipped_space(), MatrixTarget(), {CSV: b""})


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a//b", "model.json", "certificate.json", "a/../b", "a\\b"])
def test_a_path_that_leaves_the_folder_or_is_ours_is_refused(path: str) -> None:
    class Escaping(MatrixTarget):
        def export(self, model: RuleModel) -> Exported:
            return Exported({path: b""})

    with pytest.raises(ExportError, match="no path for an exported file"):
        export(shipped_space(), shipped_model(), Escaping())


def test_csv_and_spreadsheet_have_the_same_rows(files: dict[str, bytes]) -> None:
    rows = list(csv.reader(io.StringIO(files[CSV].decode("utf-8-sig"))))
    sheet = openpyxl.load_workbook(io.BytesIO(files[XLSX]), read_only=True)["規則"]
    seen = [[cell or "" for cell in row] for row in sheet.iter_rows(values_only=True)]
    assert len(rows) == len(shipped_model().rules) + 1
    assert seen == rows


def test_a_name_that_a_spreadsheet_would_run_is_made_harmless() -> None:
    model = shipped_model()
    resources = tuple(
        msgspec.structs.replace(one, title=Words("=HYPERLINK(1)", "x")) if one.id == "mail" else one
        for one in model.resources
    )
    changed = msgspec.structs.replace(model, resources=resources)
    text = MatrixTarget().export(changed).files[CSV].decode("utf-8-sig")
    assert ",=HYPERLINK" not in text
    assert "'=HYPERLINK(1)" in text


class Told:
    """A reading at a place of which something is given."""

    def __init__(self, reading: Interpreter, given: dict[str, FactValue]) -> None:
        self.given = given
        self.permitted = reading.permitted


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"contxt.zone": "office"}, "no fact"),
        ({"context.zone": "ofice"}, "no value"),
        ({"context.path_encrypted": 1}, "no value"),  # true is not 1
        ({"resource.status": "a-status-of-none"}, "itself"),
    ],
)
def test_what_is_given_is_a_fact_with_a_value_and_never_a_systems_own(
    files: dict[str, bytes], given: dict[str, FactValue], why: str
) -> None:
    with pytest.raises(ExportError, match=why):
        check(shipped_space(), shipped_model(), Told(MatrixTarget().interpreter(files), given))
