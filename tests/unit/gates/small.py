"""A small policy of the profile `zta` as files: it has every part that a revision needs, and takes no time to prove."""

from __future__ import annotations

from pathlib import Path

from pdp.revisions.files import from_directory

SHIPPED = Path(__file__).parents[3] / "policies"
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
r_{code} := true
"""


_GROUPS = {"OK": "ok", "NO": "1", "BAD_INPUT": "1", "EVALUATION_ERROR": "1", "POLICY_STALE": "1"}


def small_files(name: str, condition: str) -> dict[str, str]:
    """It allows where this condition holds, and has one test. Its data are the shipped ones."""
    data = {path: text for path, text in from_directory(SHIPPED).items() if path.startswith("data/")}
    manifest = '{"revision": "%s", "rego_version": 1, "metadata": {"profile": "zta", "entrypoint": "pdp/decision"}}'
    refuse = '{"outcome": "deny", "reasons": ["NO"], "obligations": {}}'
    allow = '{"outcome": "allow", "reasons": ["OK"], "obligations": {}}'
    reasons = "".join(_REASON.format(code=code, group=group) for code, group in _GROUPS.items())
    rules = f"default decision := {refuse}\n\ndecision := {allow} if {{\n\tr_OK\n\t{condition}\n}}\n"
    return {
        **data,
        ".manifest": manifest % name,
        "pdp.rego": f"package pdp\n{reasons}\n{rules}",
        "pdp_test.rego": "package pdp_test\n\ntest_it if data.pdp.decision\n",
    }
