"""A network of its own for one server, on machines where root may make one."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from contextlib import suppress
from typing import Self

from tests.servers import STOP_S

_made = itertools.count()


class Namespace:
    """A server behind a network of its own, whose cable can be pulled: packets vanish, nobody is told."""

    def __init__(self) -> None:
        number = os.getpid() * 16 + next(_made)  # names and addresses of its own: the machine has one of each
        self._name = f"sekisho{number}"
        self._near, self._far = f"skn{number}", f"skf{number}"
        subnet = f"10.{128 + number // 250 % 100}.{number % 250}"
        self._near_address, self.address = f"{subnet}.1", f"{subnet}.2"

    @staticmethod
    def is_possible() -> bool:
        """Whether this machine lets us make one: root, `ip`, and a kernel that allows it."""
        if os.geteuid() != 0 or shutil.which("ip") is None:
            return False
        probe = f"sekishoprobe{os.getpid()}"
        made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False).returncode == 0
        works = (
            made
            and not subprocess.run(
                ["ip", "netns", "exec", probe, "ip", "link", "add", "skp", "type", "veth", "peer", "name", "skq"],
                capture_output=True,
                check=False,
            ).returncode
        )
        if made:
            subprocess.run(["ip", "netns", "del", probe], capture_output=True, check=False)
        return works

    def __enter__(self) -> Self:
        self._ip("netns", "add", self._name)
        try:
            self._ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", self._name)
            self._ip("addr", "add", f"{self._near_address}/30", "dev", self._near)
            self._ip("link", "set", self._near, "up")
            self._ip("-n", self._name, "addr", "add", f"{self.address}/30", "dev", self._far)
            self._ip("-n", self._name, "link", "set", "lo", "up")
            self.mend()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ip("netns", "del", self._name)
        with suppress(subprocess.CalledProcessError):
            self._ip("link", "del", self._near)

    @property
    def name(self) -> str:
        return self._name

    def pull(self) -> None:
        self._ip("-n", self._name, "link", "set", self._far, "down")

    def mend(self) -> None:
        self._ip("-n", self._name, "link", "set", self._far, "up")

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, timeout=STOP_S)
