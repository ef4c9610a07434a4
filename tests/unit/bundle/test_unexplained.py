from __future__ import annotations

from pdp.bundle.bundle import Bundle, make_bundle, read_bundle
from pdp.bundle.unexplained import unexplained_reasons
from pdp.settings import load_settings

MODULE = """package x

deny contains "NEW_REASON" if input.user == "b"

step_up["ANOTHER_ONE"] := 3 if input.user == "c"

words := {"NOT_A_REASON"}

# METADATA
# custom:
#   code: EXPLAINED
#   group: 4
#   fix: user
#   user: {ja: 説明, en: explained}
#   admin: {ja: 説明, en: explained}
deny contains "EXPLAINED" if input.user == "d"
"""


def bundle_of(profile: str) -> Bundle:
    return make_bundle(
        manifest={"revision": "1", "metadata": {"profile": profile, "entrypoint": "x/deny"}},
        modules={"x.rego": MODULE},
        data={},
    )


def test_a_reason_without_its_texts_is_named_with_file_line_and_column():
    faults = unexplained_reasons(bundle_of("zta"))
    assert [(fault.where, fault.message_en) for fault in faults] == [
        *((".manifest", f"the reason `{code}` has no METADATA with its texts") for code in
          ("BAD_INPUT", "EVALUATION_ERROR", "POLICY_STALE")),
        ("x.rego:3:15", "the reason `NEW_REASON` has no METADATA with its texts"),
        ("x.rego:5:9", "the reason `ANOTHER_ONE` has no METADATA with its texts"),
    ]  # fmt: skip
    assert all("文言" in fault.message_ja for fault in faults)


def test_a_plain_bundle_needs_no_texts():
    assert unexplained_reasons(bundle_of("plain")) == []


def test_every_reason_of_the_shipped_policy_has_its_texts():
    assert unexplained_reasons(read_bundle(load_settings(environ={}).bundle_path)) == []
