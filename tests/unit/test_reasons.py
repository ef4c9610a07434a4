from __future__ import annotations

from pathlib import Path

from pdp.bundle.bundle import read_bundle
from pdp.reasons import reason_texts
from pdp.settings import load_settings

BUNDLE = read_bundle(load_settings(environ={}).bundle_path)
MANIFEST = (
    '{"revision":"r1","roots":["pdp"],"rego_version":1,'
    '"metadata":{"profile":"zta","entrypoint":"pdp/decision","ttl_seconds":60}}'
)
MODULE = """package pdp

# METADATA
# custom:
#   code: CODE
#   group: deny
#   fix: user
#   user: {ja: 一, en: one}
#   admin: {ja: 二, en: two}
decision := 1
"""


def test_the_first_codes_sentence_stands_first_and_none_stands_twice() -> None:
    user, admin = reason_texts(["LOAN_MISMATCH", "LOAN_EXPIRED", "NOT_IN_SECTION"], BUNDLE.reasons)
    assert user.ja == "貸出登録の利用者・期間と異なります。所属の利用範囲外です"
    assert [part.partition(":")[0] for part in admin.en.split(". ") if ":" in part][:1] == ["LOAN_MISMATCH"]
    assert admin.ja.count("LOAN_EXPIRED: ") == 1


def test_a_users_text_never_shows_a_code() -> None:
    for code, reason in BUNDLE.reasons.items():
        assert code not in reason.user.ja
        assert code not in reason.user.en


def test_a_code_that_has_no_text_still_gets_a_sentence() -> None:
    user, admin = reason_texts(["EVALUATION_ERROR"], {})
    assert user.ja and user.en and "EVALUATION_ERROR" in admin.en


def test_no_reason_no_text() -> None:
    assert reason_texts([], BUNDLE.reasons)[0].ja == ""


def test_every_code_of_the_contract_has_its_texts(shared: Path) -> None:
    table = (shared / "spec" / "access-rules.md").read_text(encoding="utf-8").split("## 5.")[1].split("## 6.")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ") and "`" in line]
    codes = {code: row[3].strip() for row in rows for code in row[2].replace("`", "").replace(",", " ").split()}
    assert len(codes) > 60
    missing = {code for code in codes if code not in BUNDLE.reasons}
    assert missing == set()
    assert {code: BUNDLE.reasons[code].user.ja for code in codes} == codes


def test_the_annotations_of_test_modules_are_no_reasons(tmp_path: Path) -> None:
    """A `_test.rego` file is not evaluated in service, so a text that stands there alone would never be checked."""
    (tmp_path / ".manifest").write_text(MANIFEST, encoding="utf-8")
    for name, code in (("decision.rego", "IN_SERVICE"), ("decision_test.rego", "IN_TESTS")):
        (tmp_path / name).write_text(MODULE.replace("CODE", code), encoding="utf-8")
    assert set(read_bundle(tmp_path).reasons) == {"IN_SERVICE"}
