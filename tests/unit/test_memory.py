"""What was freed is given back where the system's allocator can do so, and everywhere else nothing happens."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEFT_BEHIND = """
import ctypes, threading
from pathlib import Path
from pdp.memory import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

def load():
    pieces = [bytes(2_000) for _ in range(20_000)]
    held.append(bytes(3_000))  # above them all: what is below it cannot be given back by shrinking
    del pieces

held = []
loading = threading.Thread(target=load)
loading.start()
loading.join()
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim is glibc's")
def test_what_a_thread_left_behind_goes_back_to_the_system():
    done = subprocess.run([sys.executable, "-c", LEFT_BEHIND], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) * 4096 > 20_000_000


def test_without_glibc_nothing_happens():
    code = "import ctypes; ctypes.CDLL = lambda _: object(); from pdp.memory import give_back; give_back()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
