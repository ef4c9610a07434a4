"""The console's policy editor: bundles `tools/editor` into one file of the console, with the locked toolchain.

    python tools/editor.py          writes `pdp/console/static/editor.js` (needs npm)
    python tools/editor.py check    exit 1 where that file is not what the sources make of it

The bundle stands in the repository, so that neither `make run` nor a server needs npm. npm takes each package only
where its SHA-512 is the one of `package-lock.json`, and runs no script of theirs.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PLACE: Final = ROOT / "tools" / "editor"
BUNDLE: Final = ROOT / "pdp" / "console" / "static" / "editor.js"
_DEADLINE_S: Final = 300.0
_OPTIONS: Final = (
    "--bundle", "--minify", "--format=esm", "--target=es2022", "--charset=utf8", "--legal-comments=none",
    "--log-level=error",
)  # fmt: skip
_LICENCE: Final = """\
The policy editor of Sekisho, and in it CodeMirror 6, Lezer, style-mod, w3c-keyname, crelt and find-cluster-break:
Copyright (C) 2018-2026 by Marijn Haverbeke <marijn@haverbeke.berlin>, Adrian Heine <mail@adrianheine.de>, and others

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""


def sources() -> str:
    """The SHA-256 of everything that the bundle is made of: our modules, the lock file, this program."""
    found = hashlib.sha256()
    for path in (*sorted(PLACE.glob("src/*.js")), PLACE / "package.json", PLACE / "package-lock.json", Path(__file__)):
        found.update(f"{path.relative_to(ROOT)}\n{path.stat().st_size}\n".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def stands_for() -> str:
    """The SHA-256 that the bundle says that it was made of."""
    with BUNDLE.open(encoding="utf-8") as file:
        return file.readline().strip().rpartition(" ")[2]


def made() -> bytes:
    """The bundle. Raises SystemExit where npm is missing or does not do it."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not on the PATH; install npm")
    with tempfile.TemporaryDirectory() as aside:
        place = Path(aside)
        shutil.copytree(PLACE, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], place)
        _run([str(place / "node_modules" / ".bin" / "esbuild"), "src/editor.js", *_OPTIONS, "--outfile=out.js"], place)
        code = (place / "out.js").read_text(encoding="utf-8")
    return f"// made by tools/editor.py of {sources()}\n/*\n{_LICENCE}\n*/\n{code}".encode()


def _run(command: list[str], place: Path) -> None:
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    if done.returncode:
        raise SystemExit(f"`{Path(command[0]).name}` failed: {done.stderr[-2_000:] or done.stdout[-2_000:]}")


def main(check: bool) -> int:
    bundle = made()
    if not check:
        BUNDLE.write_bytes(bundle)
        print(f"{BUNDLE.relative_to(ROOT)}: {len(bundle):,} bytes")
        return 0
    if BUNDLE.read_bytes() != bundle:
        print(f"`{BUNDLE.relative_to(ROOT)}` is not what its sources make: run `python tools/editor.py`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] == ["check"]))
