"""The layer below a directory that journals, lies, hesitates or is full (`disk_shim.c`), built where it is needed.

    with Shim.below(root, place) as shim:
        subprocess.Popen(..., env=os.environ | shim.environment())
        shim.sync_us = 500_000          # from now on, in every process that has it

`shutil.which("cc")` or `gcc` must be there; else the test is skipped, saying so.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import shutil
import struct
import subprocess
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCE: Final = Path(__file__).with_name("disk_shim.c")
_PAGE: Final = 4096
_SWITCHES: Final = {"sync_us": 8, "real_sync": 16, "lie": 24, "room": 32, "sync_fault": 40, "syncs": 48}
_BUILD_S: Final = 60


class NoCompilerError(RuntimeError):
    """The message says what to install."""


def build(place: Path) -> Path:
    """The library, built once for this source in `place`. Raises NoCompilerError, CalledProcessError."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompilerError("no C compiler: install gcc (Debian: `apt-get install gcc libc6-dev`)")
    place.mkdir(parents=True, exist_ok=True)
    library = place / f"disk_shim-{sha256(_SOURCE.read_bytes()).hexdigest()[:16]}.so"
    with (place / "disk_shim.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            made = library.with_suffix(".new")
            command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-o", str(made), str(_SOURCE)]
            subprocess.run([*command, "-ldl", "-pthread"], check=True, capture_output=True, timeout=_BUILD_S)
            made.rename(library)
    return library


class Shim:
    """The switches of one watched directory. Times in microseconds, room in bytes (negative: no bound).

    `real_sync`: the kernel is asked as well; not needed where only the journal counts. `lie`: a sync that is
    answered and not done. `sync_fault`: the errno of every sync. `syncs`: how many were asked for.
    """

    def __init__(self, root: Path, library: Path, control: Path, journal: Path | None) -> None:
        self.root = root.resolve()
        self.journal = journal
        self._library = library
        self._control = control
        control.write_bytes(bytes(_PAGE))
        if journal is not None:
            journal.touch()
        with control.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _PAGE)
        self.room = -1

    @classmethod
    @contextmanager
    def below(cls, root: Path, place: Path, *, journal: bool = True) -> Iterator[Shim]:
        """`place` takes the control page and the journal; it lies outside `root`."""
        place.mkdir(parents=True, exist_ok=True)
        shim = cls(root, build(place.parent), place / "control", place / "journal" if journal else None)
        try:
            yield shim
        finally:
            shim._page.close()

    def environment(self) -> dict[str, str]:
        """For the processes that are to be watched."""
        return {
            "LD_PRELOAD": str(self._library),
            "DISK_SHIM_ROOT": str(self.root),
            "DISK_SHIM_CONTROL": str(self._control),
            "DISK_SHIM_JOURNAL": "" if self.journal is None else str(self.journal),
        }

    def __getattr__(self, name: str) -> int:
        if name not in _SWITCHES:
            raise AttributeError(name)
        value: int = struct.unpack_from("<q", self._page, _SWITCHES[name])[0]
        return value

    def __setattr__(self, name: str, value: object) -> None:
        if name in _SWITCHES and isinstance(value, int):
            struct.pack_into("<q", self._page, _SWITCHES[name], value)
        else:
            super().__setattr__(name, value)


def shimmed(shim: Shim) -> dict[str, str]:
    """The environment of this process, and the shim in it."""
    return os.environ | shim.environment()
