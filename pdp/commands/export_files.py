"""A folder of exported files: read whole, written with the certificate last, never over anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MAX_FILE_BYTES: Final = 64 * 1024 * 1024  # of one exported file that is read back
_MAX_FILES: Final = 1_000


def refuse_other_folder(out: Path, name: str) -> None:
    """Raises ExportError for a folder that holds anything but an export of this target."""
    from pdp.errors import ExportError
    from pdp.export.exporting import read_certificate

    if not out.exists() or not any(out.iterdir()):
        return
    if read_certificate(read_files(out)).target != name:
        raise ExportError("the folder holds something else: name a new one")


def read_files(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, by its path. Raises ExportError."""
    from pdp.errors import ExportError

    if not folder.is_dir():
        raise ExportError(
            f"フォルダー `{folder}` がない / there is no folder `{folder}`",
            next_step="先に `pdp export TARGET --out DIR` で書き出す / export first: `pdp export TARGET --out DIR`",
        )
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if len(paths) > _MAX_FILES or any(path.stat().st_size > _MAX_FILE_BYTES for path in paths):
        raise ExportError("the folder holds more than an export does")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_files(out: Path, files: Mapping[str, bytes]) -> None:
    """Every file, the certificate last: a folder without one is an export that did not end."""
    from pdp.export.checking import CERTIFICATE

    (out / CERTIFICATE).unlink(missing_ok=True)
    for old in [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else []:
        if old.relative_to(out).as_posix() not in files:
            old.unlink()
    for path in sorted(files, key=lambda name: (name == CERTIFICATE, name)):
        place = out / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(files[path])
