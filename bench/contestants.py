"""What is measured side by side, and how each of them is started: as its own documentation has it run.

All listen on loopback and answer HTTP/1.1 with keep-alive. Ours look people and terminals up; the others are
told all facts in the request, because they have no directory.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bench.processes import BenchError, Server, free_port, start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.bundle.bundle import Bundle

ROOT: Final = Path(__file__).resolve().parents[1]
HERE: Final = Path(__file__).resolve().parent
PDP: Final = Path(sys.prefix) / "bin" / "pdp"

Wire = Literal["authzen", "opa", "cerbos"]
PATH_OF: Final[Mapping[Wire, str]] = {
    "authzen": "/access/v1/evaluation",
    "opa": "/v1/data/pdp/decision",
    "cerbos": "/api/check/resources",
}
_JSON: Final = "Content-Type: application/json"


@dataclass
class House:
    """What a run stands on. `core`: the processor that every server is pinned to, or None."""

    place: Path
    database_url: str
    key: str
    bundle: Path
    core: int | None = None
    answer: Path | None = None  # what the echo says


TABLES: Final = "tables"  # a state directory with nothing but the counted-out policy
SERVER_CORE: Final = 0  # of those who have one processor to themselves; the load is then on the next


@dataclass(frozen=True)
class Contestant:
    """`ours`: it has our metrics. `about` says what is special, for the tables.

    `against`: whose rate its own is compared with. `one_core`: server and children on one processor, load on the other.
    """

    name: str
    ja: str
    en: str
    wire: Wire
    boot: Callable[[House, str], Server]
    ours: bool = False
    about: Mapping[str, str] = field(default_factory=dict)
    against: str = "opa"
    one_core: bool = False

    def start(self, house: House) -> Server:
        return self.boot(replace(house, core=SERVER_CORE) if self.one_core else house, self.name)

    @property
    def path(self) -> str:
        return PATH_OF[self.wire]

    def headers(self, house: House) -> list[str]:
        return [_JSON, f"Authorization: Bearer {house.key}"] if self.wire == "authzen" else [_JSON]


def tool(name: str) -> str:
    """A program of `make tools`. Raises BenchError saying so."""
    found = shutil.which(name, path=str(ROOT / ".tools" / "bin")) or shutil.which(name)
    if found is None:
        raise BenchError(f"no `{name}` in .tools/bin or on the PATH: run `.venv/bin/python tools/install.py --bench`")
    return found


# --- the house: a directory, a caller, a bundle as OPA reads it


def prepare(place: Path, core: int | None) -> House:
    """The full demonstration directory and a caller, made by our own commands. `place` is emptied."""
    shutil.rmtree(place, ignore_errors=True)
    state = place / "directory"
    state.mkdir(parents=True)
    database_url = f"sqlite:///{state / 'sekisho.db'}"
    run_pdp("directory", "demo", "--database-url", database_url, "--state-dir", str(state))
    rights = [
        word for name in ("decide", "batch", "assert_identity", "assert_network") for word in ("--permission", name)
    ]
    place_of = ("--database-url", database_url, "--state-dir", str(state))
    said = run_pdp("caller", "add", "bench", *rights, "--json", *place_of)
    run_pdp("bundle", "space", str(ROOT / "policies"), "--json", "--state-dir", str(place / TABLES))  # once for all
    return House(place, database_url, json.loads(said)["key"], ROOT / "policies", core)


def run_pdp(*arguments: str) -> str:
    done = subprocess.run([PDP, *arguments], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise BenchError(f"`pdp {' '.join(arguments[:2])}` failed: {done.stderr[-800:]}")
    return done.stdout


def write_opa_bundle(bundle: Bundle, place: Path) -> None:
    """The same modules, without their tests, and the same data, as OPA reads a bundle."""
    for name, text in bundle.modules.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (place / "data.json").write_text(json.dumps(bundle.data), encoding="utf-8")
    (place / ".manifest").write_text(json.dumps({"revision": bundle.revision, "roots": [""]}), encoding="utf-8")


# --- ours


def _ours(house: House, name: str, **settings: str) -> Server:
    port = free_port()
    if (house.place / TABLES).is_dir():
        shutil.copytree(house.place / TABLES, house.place / name / "state", dirs_exist_ok=True)
    own = {
        "DATABASE_URL": house.database_url,
        "STATE_DIR": str(house.place / name / "state"),
        "BUNDLE": str(house.bundle),
    }
    environment = {f"PDP_{key}": value for key, value in {**own, **settings}.items()}
    command = [str(PDP), "serve", "--port", str(port), "--log-level", "warning"]
    return start(name, command, port, "/readyz", house.place / name, environment=environment, core=house.core)


def _warm(house: House, name: str) -> Server:
    return _ours(house, name)


def _warm_process(house: House, name: str) -> Server:
    return _ours(house, name, DURABILITY="process")


def _warm_two(house: House, name: str) -> Server:
    return _ours(house, name, WORKERS="2")


def _cold(house: House, name: str) -> Server:
    return _ours(house, name, CACHE="off")


def _warm_engine(house: House, name: str) -> Server:
    return _ours(house, name, DECISION_TABLE="off")


def _cold_engine(house: House, name: str) -> Server:
    return _ours(house, name, CACHE="off", DECISION_TABLE="off")


def _redis_only(house: House, name: str) -> Server:
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxmemory", "256mb"]
    valkey = start(
        "valkey", [tool("valkey-server"), *options], port, "", house.place / name / "valkey", core=house.core
    )
    redis = {"CACHE_ENTRIES": "0", "REDIS_URL": f"redis://127.0.0.1:{port}/0", "DECISION_TABLE": "off"}
    server = _ours(house, name, **redis)
    server.helpers.append(valkey)
    return server


def _with_opa(house: House, name: str) -> Server:
    opa = _opa_server(house, "opa-engine", [])
    server = _ours(house, name, CACHE="off", ENGINE="opa", OPA_URL=f"http://127.0.0.1:{opa.port}")
    server.helpers.append(opa)
    return server


# --- the others


def _opa_server(house: House, name: str, arguments: list[str]) -> Server:
    port = free_port()
    # Without --disable-telemetry it asks the internet for newer versions.
    command = [tool("opa"), "run", "--server", "--disable-telemetry", f"--addr=127.0.0.1:{port}", "--log-level=error"]
    return start(name, [*command, *arguments], port, "/health?bundles", house.place / name, core=house.core)


def _opa(house: House, name: str) -> Server:
    return _opa_server(house, name, ["--bundle", str(house.place / "opa-bundle")])


def _opa_logging(house: House, name: str) -> Server:
    return _opa_server(
        house, name, ["--bundle", str(house.place / "opa-bundle"), "--set", "decision_logs.console=true"]
    )


def _echo(house: House, name: str) -> Server:
    port = free_port()
    command = [sys.executable, "-m", "bench.echo", str(house.answer), str(port)]
    return start(name, command, port, "/", house.place / name, core=house.core, environment={"PYTHONPATH": str(ROOT)})


def _cerbos_server(house: House, name: str, *, audit: bool) -> Server:
    port, grpc = free_port(), free_port()
    place = house.place / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(  # Cerbos reads YAML, of which JSON is a part
        json.dumps(
            {
                "server": {"httpListenAddr": f"127.0.0.1:{port}", "grpcListenAddr": f"127.0.0.1:{grpc}"},
                "storage": {"driver": "disk", "disk": {"directory": str(HERE / "cerbos"), "watchForChanges": False}},
                "telemetry": {"disabled": True},
                "audit": {
                    "enabled": audit,
                    "accessLogsEnabled": False,
                    "decisionLogsEnabled": audit,
                    "backend": "file",
                    "file": {"path": str(place / "audit.log")},
                },
            }
        ),
        encoding="utf-8",
    )
    command = [tool("cerbos"), "server", f"--config={place / 'config.json'}", "--log-level=error"]
    return start(name, command, port, "/_cerbos/health", place, core=house.core)


def _cerbos(house: House, name: str) -> Server:
    return _cerbos_server(house, name, audit=False)


def _cerbos_audit(house: House, name: str) -> Server:
    return _cerbos_server(house, name, audit=True)


CONTESTANTS: Final = (
    Contestant("warm", "Sekisho（キャッシュあり）", "Sekisho, warm", "authzen", _warm, ours=True),
    Contestant(
        "warm-process", "同（durability=process）", "same, durability=process", "authzen", _warm_process, ours=True
    ),
    Contestant("warm-two", "同（2ワーカー）", "same, two workers", "authzen", _warm_two, ours=True),
    Contestant("redis-only", "同（Redisのみ）", "Sekisho, Redis only", "authzen", _redis_only, ours=True),
    Contestant("cold", "Sekisho（キャッシュなし）", "Sekisho, cold", "authzen", _cold, ours=True),
    Contestant(
        "warm-engine",
        "Sekisho（キャッシュあり、判定表なし）",
        "Sekisho, warm, no table",
        "authzen",
        _warm_engine,
        ours=True,
    ),
    Contestant(
        "cold-engine",
        "Sekisho（キャッシュなし、判定表なし）",
        "Sekisho, cold, no table",
        "authzen",
        _cold_engine,
        ours=True,
    ),
    Contestant("opa-engine", "同（OPAエンジン）", "same, OPA as its engine", "authzen", _with_opa, ours=True),
    Contestant("echo", "同じ応答を返すだけのASGI", "bare ASGI echo", "authzen", _echo),
    Contestant("opa", "OPAサーバー", "OPA server", "opa", _opa),
    Contestant("opa-log", "同（判定ログあり）", "same, decision log on", "opa", _opa_logging),
    Contestant(
        "warm-core",
        "Sekisho（キャッシュあり、1コア）",
        "Sekisho, warm, on one processor",
        "authzen",
        _warm,
        ours=True,
        against="opa-core",
        one_core=True,
    ),
    Contestant(
        "opa-core",
        "OPAサーバー（1コア）",
        "OPA server, on one processor",
        "opa",
        _opa,
        against="opa-core",
        one_core=True,
    ),
    Contestant("cerbos", "Cerbos（縮約したポリシー）", "Cerbos, reduced policy", "cerbos", _cerbos),
    Contestant("cerbos-audit", "同（監査ログあり）", "same, audit log on", "cerbos", _cerbos_audit),
)
