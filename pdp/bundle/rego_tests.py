"""The tests of a bundle: every rule `test_…` in its `_test.rego` files, and a bundle that answers one at a time.

OPA runs such rules with `opa test`; here they run on any engine behind the port, so that the embedded one
is tested with the same tests. Each test is its own evaluation: one that errs does not hide the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.bundle import make_bundle
from pdp.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.bundle.bundle import Bundle

_PACKAGE: Final = re.compile(r"^package\s+([A-Za-z_][\w.]*)", re.ASCII)
_HEAD: Final = re.compile(r"^(test_\w+)\b", re.ASCII)
_RUNNER: Final = "sekisho_rego_tests"  # the package of the generated module


@dataclass(frozen=True, slots=True)
class RegoTest:
    """One test rule. `where` is file:line of its first definition."""

    package: str
    rule: str
    where: str

    @property
    def name(self) -> str:
        return f"data.{self.package}.{self.rule}"


def find_tests(tests: Mapping[str, str]) -> list[RegoTest]:
    """The test rules of these modules (`Bundle.tests`), by file and line. Raises BundleError without a package."""
    found: dict[str, RegoTest] = {}
    for file in sorted(tests):
        package = ""
        for number, line in enumerate(tests[file].splitlines(), start=1):
            declared = _PACKAGE.match(line)
            head = _HEAD.match(line)
            if declared is not None:
                package = declared[1]
            elif head is not None:
                if not package:
                    raise BundleError("a test before the package is declared", where=f"{file}:{number}")
                test = RegoTest(package, head[1], f"{file}:{number}")
                found.setdefault(test.name, test)
    return list(found.values())


def runner_of(bundle: Bundle, tests: list[RegoTest]) -> Bundle:
    """A `plain` bundle over the same modules and data whose entry point says whether one test passed.

    Its input is `{"test": N}`, the number of the test in the list; a test that does not hold is undefined.
    """
    rules = "\n".join(f"passed if {{\n\tinput.test == {number}\n\t{test.name}\n}}" for number, test in enumerate(tests))
    manifest: dict[str, Any] = {
        "revision": f"{bundle.revision} (tests)",
        "rego_version": 1,
        "metadata": {"profile": "plain", "entrypoint": f"{_RUNNER}/passed"},
    }
    runner = f"package {_RUNNER}\n\ndefault passed := false\n\n{rules}\n"
    modules = {**bundle.modules, **bundle.tests, f"{_RUNNER}.rego": runner}
    return make_bundle(manifest=manifest, modules=modules, data=bundle.data)
