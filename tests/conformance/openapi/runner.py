"""Schemathesis over the OpenAPI document of a running service: no 5xx, and no answer that the document does not name.

    python -m tests.conformance.openapi.runner --url http://127.0.0.1:8080 --key KEY [--examples N] [--only REGEX]

Whatever is asked is asked with KEY, which may have every permission: the service must be one that nobody minds.
Exit codes are those of Schemathesis: 0 nothing found, 1 something was.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
METHODS = ("get", "put", "post", "delete", "patch")


def with_one_credential(document: dict[str, Any]) -> dict[str, Any]:
    """The document where each operation takes the bearer key alone: two credentials in one request are refused."""
    document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    for operations in document["paths"].values():
        for method, operation in operations.items():
            if method in METHODS and operation.get("security"):
                operation["security"] = [{"bearer": []}]
    return document


def run(url: str, key: str, *, examples: int, phases: str, only: str = "", seed: int | None = None) -> tuple[int, str]:
    """Exit code and report of Schemathesis."""
    document = with_one_credential(httpx.get(f"{url}/openapi.json", timeout=30).raise_for_status().json())
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "openapi.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            *("run", str(file), "--url", url, "--header", f"Authorization: Bearer {key}"),
            *("--checks", ",".join(CHECKS), "--phases", phases, "--max-examples", str(examples)),
            *("--continue-on-failure", "--warnings", "off", "--request-timeout", "60"),
            *(("--include-path-regex", only) if only else ()),
            *(("--seed", str(seed), "--generation-deterministic") if seed is not None else ()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    return done.returncode, done.stdout + done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.conformance.openapi.runner", description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--examples", type=int, default=50, help="for each operation, in the fuzzing phase")
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--only", default="", help="operations whose path fits this expression")
    chosen = parser.parse_args()
    code, said = run(chosen.url, chosen.key, examples=chosen.examples, phases=chosen.phases, only=chosen.only)
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main())
