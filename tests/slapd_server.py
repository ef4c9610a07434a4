"""A real slapd for the tests, on loopback, with a tree of its own, ended by its process id.

slapd_server(ldif)   loads the LDIF (slapadd) and serves it at `url` (plain), `url` with StartTLS, and `ldaps_url`
people(count)        LDIF of so many members of staff below ou=people,dc=pref
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.certificates import Authority
from tests.servers import LOOK_AGAIN_S, OWN_TOOLS, START_S, STOP_S, free_port, wait_until_stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.certificates import Credential

BASE = "dc=pref"
READER = "cn=reader,dc=pref"
PASSWORD = "reader-secret"
_ROOT = "cn=admin,dc=pref"
_ROOT_PASSWORD = "admin-secret"
STAMP = "20260401000000Z"  # when the tree was made, as slapadd writes it down


def _tree() -> Path:
    """Where the schema and the modules are. Skips where there is no slapd (tests/conftest.py: CI fails on it)."""
    own = OWN_TOOLS.parent / "ldap"
    for root in (own, Path("/")):
        if (root / "etc/ldap/schema/core.schema").exists() and (root / "usr/lib/ldap").is_dir():
            return root
    pytest.skip("no slapd with its schema in .tools or /etc/ldap: install it with `make tools`")


def _program(name: str) -> str:
    found = shutil.which(name, path=str(OWN_TOOLS)) or shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"no `{name}` in .tools/bin or PATH: install it with `make tools`")
    return found


def entry(dn: str, attributes: dict[str, str | bytes | list[str]]) -> str:
    """One object in LDIF (RFC 2849), values in base64."""
    lines = [_line("dn", dn)]
    for name, value in attributes.items():
        lines += [_line(name, one) for one in (value if isinstance(value, list) else [value])]
    return "\n".join(lines) + "\n\n"


def _line(name: str, value: str | bytes) -> str:
    raw = value.encode() if isinstance(value, str) else value
    return f"{name}:: {base64.b64encode(raw).decode()}"


def roots() -> str:
    password = subprocess.run(
        [_program("slappasswd"), "-h", "{SSHA}", "-s", PASSWORD], capture_output=True, check=True, text=True, timeout=20
    ).stdout.strip()
    return (
        entry(BASE, {"objectClass": ["dcObject", "organization"], "o": "三重県", "dc": "pref"})
        + entry(READER, {"objectClass": ["person", "simpleSecurityObject"], "sn": "reader", "userPassword": password})
        + "".join(
            entry(f"ou={unit},{BASE}", {"objectClass": "organizationalUnit"}) for unit in ("people", "groups", "shared")
        )
    )


def person(uid: str, **attributes: str | list[str]) -> str:
    """A member of staff; modified at STAMP, unless `modifyTimestamp` says otherwise."""
    held: dict[str, str | bytes | list[str]] = {
        "objectClass": ["inetOrgPerson"],
        "cn": f"職員 {uid}",
        "sn": uid,
        "employeeType": "正規職員",
        "departmentNumber": "soumu",
        "createTimestamp": STAMP,
        "modifyTimestamp": STAMP,
        **attributes,
    }
    return entry(f"uid={uid},ou=people,{BASE}", held)


def group(name: str, members: list[str]) -> str:
    return entry(f"cn={name},ou=groups,{BASE}", {"objectClass": "groupOfNames", "member": members})


def people(count: int) -> str:
    return "".join(person(f"u-{number:05d}") for number in range(1, count + 1))


class SlapdServer:
    """Until `close`. `kill` and `restart` keep the tree; `freeze` lets the kernel take connections that nobody serves."""

    def __init__(self, home: Path, ldif: str, *, limits: str = "", tls: bool = True) -> None:
        self._home = home
        self.port, self.tls_port = free_port(), free_port()
        (home / "db").mkdir()
        self.authority = Authority(home)
        certificate = self.authority.issue("localhost", "server", host="localhost")
        (home / "slapd.conf").write_text(self._configuration(limits, certificate if tls else None))
        self._add(roots() + ldif)
        self._process: subprocess.Popen[bytes] | None = None
        self.restart()

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def named_url(self) -> str:
        """By the name that stands in the certificate."""
        return f"ldap://localhost:{self.port}"

    @property
    def ldaps_url(self) -> str:
        return f"ldaps://localhost:{self.tls_port}"

    @property
    def ca_file(self) -> str:
        return str(self.authority.certificate)

    def client_certificate(self, common_name: str) -> Credential:
        return self.authority.issue(common_name, f"client-{common_name}")

    def _configuration(self, limits: str, certificate: Credential | None) -> str:
        tree = _tree()
        modules = tree / "usr/lib/ldap"
        schema = tree / "etc/ldap/schema"
        names = ("core", "cosine", "nis", "inetorgperson")
        tls = "" if certificate is None else (
            f"TLSCACertificateFile {self.authority.certificate}\nTLSCertificateFile {certificate.certificate}\n"
            f"TLSCertificateKeyFile {certificate.key}\nTLSVerifyClient try\n"
        )  # fmt: skip
        return (
            "".join(f"include {schema / name}.schema\n" for name in names)
            + f"modulepath {modules}\nmoduleload back_mdb\nmoduleload ppolicy\n{tls}"
            + f'authz-regexp "cn=([^,]+)" "cn=$1,{BASE}"\nsizelimit 500\n'
            + f'database mdb\nsuffix "{BASE}"\nrootdn "{_ROOT}"\nrootpw {_ROOT_PASSWORD}\n'
            + f"directory {self._home / 'db'}\nmaxsize 268435456\ndbnosync\n"
            + f'overlay ppolicy\nlimits dn.exact="{READER}" {limits or "size.prtotal=unlimited"}\n'
            + "index objectClass,uid,modifyTimestamp,member eq\n"
            + f'access to attrs=userPassword by anonymous auth by * none\naccess to * by dn.exact="{READER}" read by * none\n'
        )

    def _add(self, ldif: str) -> None:
        done = subprocess.run(
            [_program("slapadd"), "-q", "-f", str(self._home / "slapd.conf"), "-b", BASE],
            input=ldif.encode(), capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError("slapadd: " + done.stderr.decode(errors="replace")[-2000:])

    def restart(self) -> None:
        self.kill()
        urls = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        log = self._home / "slapd.log"
        with log.open("wb") as words:
            self._process = subprocess.Popen(
                [_program("slapd"), "-d", "0", "-f", str(self._home / "slapd.conf"), "-h", urls],
                stdin=subprocess.DEVNULL, stdout=words, stderr=words,
            )  # fmt: skip
        end = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError("slapd did not start: " + log.read_text(errors="replace")[-2000:])
            time.sleep(LOOK_AGAIN_S)

    def _answers(self) -> bool:
        try:
            for port in (self.port, self.tls_port):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def modify(self, ldif: str) -> None:
        """`ldapmodify` with changes in LDIF; an object without a change is added."""
        done = subprocess.run(
            [_program("ldapmodify"), "-a", "-x", "-H", self.url, "-D", _ROOT, "-w", _ROOT_PASSWORD],
            input=ldif.encode(), capture_output=True, check=False, timeout=30,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError("ldapmodify: " + done.stderr.decode(errors="replace")[-2000:])

    def replace(self, dn: str, attribute: str, *values: str) -> None:
        self.modify(change(dn, attribute, *values))

    def delete(self, dn: str) -> None:
        self.modify(_line("dn", dn) + "\nchangetype: delete\n\n")

    def kill(self) -> None:
        process, self._process = getattr(self, "_process", None), None
        if process is not None:
            process.kill()
            process.wait(STOP_S)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        wait_until_stopped(self.pid)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        with suppress(ProcessLookupError, AssertionError):
            self.thaw()
        self.kill()


def change(dn: str, attribute: str, *values: str) -> str:
    """LDIF that replaces an attribute; without values it is taken away."""
    lines = [_line("dn", dn), "changetype: modify", f"replace: {attribute}", *(_line(attribute, v) for v in values)]
    return "\n".join(lines) + "\n-\n\n"


@contextmanager
def slapd_server(ldif: str = "", *, limits: str = "", tls: bool = True) -> Iterator[SlapdServer]:
    home = Path(tempfile.mkdtemp(prefix="sekisho-slapd-"))
    try:
        server = SlapdServer(home, ldif, limits=limits, tls=tls)
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
