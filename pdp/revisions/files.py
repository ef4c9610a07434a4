"""The files of one revision: their bounds, their digest, their differences, and the way to and from a directory.

A revision keeps all that its authors wrote: what decides (`pdp.bundle`), its tests, its scenarios and its notes, with
the comments. `source_digest` is the SHA-256 of all of it; `Bundle.digest` of what decides alone.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.bundle import MANIFEST, MAX_FILE_BYTES, MAX_FILES, bundle_of_files, makes_bundle, read_files
from pdp.bundle.equivalents import FILE as EQUIVALENTS
from pdp.errors import BadRequestError, BundleError, PayloadTooLargeError, RecordDamagedError
from pdp.revisions.line_diff import Steps, unified

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pdp.bundle.bundle import Bundle

MAX_BYTES: Final = 32 * 1024 * 1024  # of all files: half of what an evaluator takes in one frame
MAX_DIFF: Final = 4 * 1024 * 1024  # characters of one answer's diffs: nobody reads more
MAX_PATH: Final = 200
MAX_NAME: Final = 128  # of the revision, in its manifest
SCENARIOS: Final = "scenarios/"
_NOTES: Final = (".md", ".txt")
_STORIES: Final = (".yaml", ".yml")

Files = dict[str, str]


def belongs(name: str) -> bool:
    """Whether a file of this path is kept with a revision: the bundle's own, scenarios, notes, `mutants.yaml`."""
    beside = name.endswith(_NOTES) or name == EQUIVALENTS
    return makes_bundle(name) or beside or (name.startswith(SCENARIOS) and name.endswith(_STORIES))


def check_files(files: Mapping[str, Any]) -> Files:
    """Files as somebody sent them, by their paths.

    Raises BadRequestError for a path or a text that cannot be one, PayloadTooLargeError beyond the bounds.
    """
    if len(files) > MAX_FILES:
        raise PayloadTooLargeError(f"more than {MAX_FILES} files")
    total = 0
    for name, text in files.items():
        _check_path(name)
        if not isinstance(text, str):
            raise BadRequestError(f"the file `{name[:MAX_PATH]}` is not a text")
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise BadRequestError(f"the file `{name}` is not UTF-8") from None
        if "\x00" in text:
            raise BadRequestError(f"the file `{name}` holds a NUL")
        total += size
        if size > MAX_FILE_BYTES:
            raise PayloadTooLargeError(f"the file `{name}` has {size} bytes, and one has at most {MAX_FILE_BYTES}")
        if total > MAX_BYTES:
            raise PayloadTooLargeError(f"the files have more than {MAX_BYTES} bytes together")
    return dict(sorted(files.items()))


def laid_over(base: Mapping[str, str], changes: Mapping[str, Any]) -> dict[str, Any]:
    """These files with others in their places; None takes one away. Not checked yet.

    Raises BadRequestError for a name that is to be taken away and is not there: it was misspelt.
    """
    found: dict[str, Any] = dict(base)
    for name, text in changes.items():
        if text is not None:
            found[name] = text
        elif found.pop(name, None) is None:
            raise BadRequestError(f"there is no file `{name[:MAX_PATH]}` to be taken away")
    return found


def _check_path(name: str) -> None:
    # Attack: a path that leaves the directory that somebody exports the revision into.
    parts = name.split("/")
    plain = name.isprintable() and "\\" not in name and len(name) <= MAX_PATH
    if not plain or any(part in ("", ".", "..") for part in parts):
        raise BadRequestError(f"`{name[:MAX_PATH]}` is no path of a file below a directory")
    if name != MANIFEST and any(part.startswith(".") for part in parts):
        raise BadRequestError(f"`{name}` is hidden, and is not kept")
    if not belongs(name):
        raise BadRequestError(
            f"`{name}` is none of the files that a revision keeps",
            next_step="send .manifest, capabilities.json, *.rego, data/*.yaml, scenarios/*.yaml and notes (*.md)",
        )


def bundle_of(files: Mapping[str, str]) -> Bundle:
    """The bundle that these files make. Raises BadRequestError, with the place of the fault, where they make none."""
    try:
        bundle = bundle_of_files(files)
    except BundleError as fault:
        raise BadRequestError(fault.message, next_step=fault.next_step) from None
    except (ValueError, RecursionError) as fault:  # half a character in a manifest, say: JSON can spell it
        raise BadRequestError(f"the files make no bundle: {type(fault).__name__}") from None
    if not bundle.revision.isprintable() or len(bundle.revision) > MAX_NAME:
        raise BadRequestError(f"`revision` in {MANIFEST} is a name of at most {MAX_NAME} characters")
    return bundle


def encode_files(files: Mapping[str, str]) -> bytes:
    """The canonical text of all files; `source_digest` is its SHA-256."""
    return json.dumps(dict(files), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def decode_files(text: bytes, digest: str) -> Files:
    """Raises RecordDamagedError where this is not the text that the digest names."""
    if sha256(text).hexdigest() != digest:
        raise RecordDamagedError(f"the files {digest} of a revision are not what was kept")
    found: Files = json.loads(text)
    return found


def from_directory(directory: Path) -> Files:
    """The files that a revision keeps of a directory. Raises BundleError where it cannot be read."""
    return read_files(directory, also=belongs)


def to_directory(files: Mapping[str, str], directory: Path) -> None:
    """Write them below a directory that is made, or is empty. Raises BadRequestError for any other, and OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    if next(directory.iterdir(), None) is not None:
        raise BadRequestError("the directory is not empty", next_step="name one that is not there yet")
    for name, text in check_files(files).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "w") as file:
            file.write(text)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[dict[str, Any]]:
    """By path, what happened to each file that is not the same: `added`, `removed` or `changed`, and a unified diff.

    `detail` says how much the diff says: `full`; `coarse`, where finding the fewest lines would take too long, and
    what lies between the first and the last difference is told as replaced; `left_out`, beyond MAX_DIFF of all texts.
    """
    found: list[dict[str, Any]] = []
    steps, room = Steps(), MAX_DIFF
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        change = "added" if old is None else "removed" if new is None else "changed"
        diff, shortest = unified(old or "", new or "", name, steps)
        if len(diff) > room:
            found.append({"path": name, "change": change, "diff": "", "detail": "left_out"})
            continue
        room -= len(diff)
        found.append({"path": name, "change": change, "diff": diff, "detail": "full" if shortest else "coarse"})
    return found
