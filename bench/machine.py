"""On what, and with which versions: a figure without them is none."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.contestants import tool
from bench.processes import BenchError

if TYPE_CHECKING:
    from bench.documents import Archive

_TOOLS: Final = {
    "opa": (["version"], r"Version: (\S+)"),
    "cerbos": (["--version"], r"^(\S+)"),
    "valkey-server": (["--version"], r"v=(\S+)"),
    "wrk": (["-v"], r"^wrk \D*([\d.]+)"),
    "vegeta": (["-version"], r"Version: (\S+)"),
}
_PACKAGES: Final = ("uvicorn", "uvloop", "httptools", "msgspec", "gordon-to-regorus", "redis")


def describe(archive: Archive) -> dict[str, Any]:
    modules = archive.bundle.modules
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": _line("/proc/cpuinfo", "model name"),
            "cores": os.cpu_count(),
            "memory_gb": round(int(_line("/proc/meminfo", "MemTotal").split()[0]) / 1e6, 1),
            "kernel": platform.release(),
            "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
            **{name: _tool_version(name) for name in _TOOLS},
        },
        "bundle": {
            "revision": archive.bundle.revision,
            "files": len(modules),
            "lines": sum(text.count("\n") for text in modules.values()),
            "rules_lines": sum(_rules(text) for text in modules.values()),
            "ttl_s": archive.bundle.ttl_s,
        },
        "directory": {"users": len(archive.snapshot.users), "devices": len(archive.snapshot.devices)},
    }


def _rules(text: str) -> int:
    """Lines that are neither blank nor comment."""
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in text.splitlines())


def _line(file: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.*)$", Path(file).read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "unknown"


def _tool_version(name: str) -> str:
    flags, pattern = _TOOLS[name]
    try:
        done = subprocess.run([tool(name), *flags], capture_output=True, text=True, check=False, timeout=30)
    except BenchError:
        return "absent"
    found = re.search(pattern, done.stdout + done.stderr, re.MULTILINE)
    return found[1] if found else "unknown"
