"""Small policies of the profile `zta`, for tests of the decision space."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from pdp.bundle.bundle import Bundle, make_bundle
from pdp.space.asking import asker_for
from pdp.space.space import DecisionSpace, build_space

HEAD = """package pdp

default decision := {"outcome": "deny", "reasons": ["EVALUATION_ERROR"], "obligations": {}}

decision := {"outcome": "allow", "reasons": ["OK"], "obligations": {}} if fine
"""


def bundle_of(body: str, data: dict[str, Any] | None = None, **modules: str) -> Bundle:
    """A policy that allows where the rule `fine` of this body holds."""
    return make_bundle(
        manifest={"revision": "t", "metadata": {"profile": "zta", "entrypoint": "pdp/decision"}},
        modules={"pdp.rego": HEAD + body, **modules},
        data=data or {},
    )


def build(bundle: Bundle) -> DecisionSpace:
    with ThreadPoolExecutor(1) as other:
        return other.submit(lambda: asyncio.run(build_space(bundle, partial(asker_for, children=1)))).result()


def space_for(body: str, data: dict[str, Any] | None = None, **modules: str) -> DecisionSpace:
    return build(bundle_of(body, data, **modules))
