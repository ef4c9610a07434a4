"""The deployment files, each held against the tool or schema of the program that reads it, and against our own words."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml
from dockerfile_parse import DockerfileParser

from pdp.audit.metrics import AuditMetrics
from pdp.cache_metrics import CacheMetrics
from pdp.callers.crl_metrics import CrlMetrics
from pdp.delivery.metrics import DeliveryMetrics
from pdp.log_metrics import ProofMetrics, StoreMetrics
from pdp.metrics import Metrics
from pdp.opa_sink.metrics import SinkMetrics
from pdp.outgrown.metrics import CopyMetrics
from pdp.outgrown.standing import Standings
from pdp.privacy.metrics import MaskingMetrics
from pdp.revisions.metrics import RevisionMetrics
from pdp.settings import Settings, load_settings
from pdp.shipping.ledger import Ledger
from pdp.shipping.metrics import ShippingMetrics
from pdp.source_metrics import SourceMetrics
from pdp.ssf.receiving.metrics import ReceivingMetrics
from pdp.ssf.sending.metrics import SendingMetrics
from pdp.table.metrics import TableMetrics

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
KUBERNETES: Final = "1.34"
_PROMQL_NAME: Final = re.compile(r"\bsekisho_[a-z_]+")


def program(name: str) -> str:
    """Skips the test, saying what to install, where there is none (tests/conftest.py: CI fails on it)."""
    found: str | None = shutil.which(name, path=str(ROOT / ".tools" / "bin")) or shutil.which(name)
    if found is None:
        pytest.skip(f"no `{name}` in .tools/bin or PATH: install it with `make tools`")
    return found


def said(command: list[str], **more: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one is not None]


def manifests() -> list[Any]:
    return [
        pytest.param(document, id=f"{path.stem}-{document['kind']}-{document['metadata']['name']}")
        for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in documents(path)
    ]


def pods() -> list[Any]:
    return [one for one in manifests() if one.values[0]["kind"] in ("StatefulSet", "Deployment")]


@pytest.mark.parametrize("document", manifests())
def test_each_manifest_fits_the_schema_of_kubernetes(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize("document", pods())
def test_each_pod_fits_the_restricted_profile(document: dict[str, Any]) -> None:
    pod = document["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        guarded = container["securityContext"]
        assert guarded["allowPrivilegeEscalation"] is False
        assert guarded["readOnlyRootFilesystem"] is True
        assert guarded["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        claimed = {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", ())}
        assert mounted == {volume["name"] for volume in pod["volumes"]} | claimed


def test_a_rollout_never_takes_the_service_away() -> None:
    kinds = {(one["kind"], one["metadata"]["name"]): one for one in documents(DEPLOY / "kubernetes" / "decisions.yaml")}
    service = kinds["StatefulSet", "sekisho"]["spec"]
    budget = kinds["PodDisruptionBudget", "sekisho"]["spec"]
    assert service["replicas"] > budget["minAvailable"] >= 2
    container = service["template"]["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    for name in ("Service", "PodDisruptionBudget"):
        selector = kinds[name, "sekisho"]["spec"]["selector"]
        labels = selector.get("matchLabels", selector)
        assert labels.items() <= service["template"]["metadata"]["labels"].items()


def test_the_kustomization_lists_every_manifest() -> None:
    (listed,) = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    there = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed["resources"]) == there


def test_the_settings_of_the_config_map_are_settings(tmp_path: Path) -> None:
    (configuration,) = documents(DEPLOY / "kubernetes" / "configuration.yaml")
    file = tmp_path / "pdp.toml"
    file.write_text(configuration["data"]["pdp.toml"], encoding="utf-8")
    assert load_settings(file, {}).durability == "power"


def test_environment_variables_of_the_deployments_are_settings() -> None:
    known = {f"PDP_{name.upper()}" for name in Settings.__struct_fields__} | {"PDP_CONFIG", "PDP_GATEWAY_KEY"}
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            found = set(re.findall(r"\bPDP_[A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8")))
            assert found <= known, path


@pytest.mark.parametrize("name", ["sekisho", "sekisho-compact", "sekisho-ship"])
def test_each_unit_is_one_for_systemd_and_is_well_fenced_in(name: str, tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    for path in (DEPLOY / "systemd").glob("*.service"):
        text = path.read_text(encoding="utf-8").replace("/opt/sekisho/bin/pdp", sys.executable)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    unit = tmp_path / f"{name}.service"
    told = said([analyze, "verify", "--man=no", str(unit)])
    assert "sekisho" not in told, told  # it says nothing of a unit that is right
    exposure = said([analyze, "security", "--offline=yes", "--no-pager", str(unit)])
    level = re.search(rf"exposure level for {name}\.service: ([0-9.]+)", exposure)
    assert level is not None
    assert float(level[1]) <= 1.5


def test_the_alert_rules_are_rules_and_fire_when_they_should() -> None:
    promtool = program("promtool")
    said([promtool, "check", "rules", str(DEPLOY / "prometheus" / "alerts.yaml")])
    said([promtool, "test", "rules", "alerts_test.yaml"], cwd=DEPLOY / "prometheus")


def test_every_alert_says_what_to_do_in_both_languages() -> None:
    (rules,) = documents(DEPLOY / "prometheus" / "alerts.yaml")
    for rule in rules["groups"][0]["rules"]:
        assert set(rule["annotations"]) == {"summary", "action", "ja"}, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")


def live_names() -> set[str]:
    """What a scrape can show: every metric under the names of its samples."""
    metrics = Metrics()
    CacheMetrics(metrics.registry)
    SourceMetrics(metrics.registry)
    ProofMetrics(metrics.registry)
    StoreMetrics(metrics.registry, Path("nowhere"))
    ShippingMetrics(metrics.registry, Ledger(Path("nowhere")), ())
    AuditMetrics(metrics.registry)
    RevisionMetrics(metrics.registry)
    CrlMetrics(metrics.registry)
    TableMetrics(metrics.registry)
    ReceivingMetrics(metrics.registry)
    SendingMetrics(metrics.registry)
    CopyMetrics(metrics.registry, Standings(Path("nowhere")), ())
    DeliveryMetrics(metrics.registry, Path("nowhere"))
    MaskingMetrics(metrics.registry)
    SinkMetrics(metrics.registry)
    names: set[str] = set()
    for family in metrics.registry.collect():
        names |= {family.name} | {f"{family.name}{end}" for end in _ENDS[family.type]}
    return names


_ENDS: Final = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


def test_alerts_and_dashboard_ask_for_metrics_that_exist() -> None:
    names = live_names()
    for path in (DEPLOY / "prometheus" / "alerts.yaml", DEPLOY / "grafana" / "sekisho.json"):
        asked = set(_PROMQL_NAME.findall(path.read_text(encoding="utf-8")))
        assert asked
        assert asked <= names, (path, asked - names)


def test_whatever_counts_a_loss_has_an_alert() -> None:
    """A metric that says of itself that something is lost, refused for good, erased or away, and wakes nobody."""
    asked = set(_PROMQL_NAME.findall((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8")))
    lossy = {
        name
        for name in live_names()
        if re.search(
            r"unrecorded|spilling|altered|lost|let_go|shipping_refused\Z|masking_failures_total|unfinished", name
        )
    }
    assert len(lossy) >= 8
    assert lossy <= asked


def test_the_dashboard_is_whole_and_speaks_both_languages() -> None:
    board = json.loads((DEPLOY / "grafana" / "sekisho.json").read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert re.fullmatch(r".*[ぁ-んァ-ヶ一-龠].* / [ -~]+", panel["title"]) or panel["title"].isascii() is False
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_image_runs_as_nobody_and_installs_by_hash(tmp_path: Path) -> None:
    parser = DockerfileParser(path=str(tmp_path / "Dockerfile"))
    parser.content = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
    steps = [(step["instruction"], step["value"]) for step in parser.structure]
    stages = [number for number, (name, _) in enumerate(steps) if name == "FROM"]
    assert len(stages) == 2
    last = dict(steps[stages[-1] :])
    assert last["USER"] == "10001:10001"
    assert last["ENTRYPOINT"] == '["pdp"]'
    assert any("--require-hashes" in value for name, value in steps if name == "RUN")
    copied = [value.split()[0] for name, value in steps if name == "COPY" and not value.startswith("--from")]
    for source in copied:
        assert (ROOT / source).exists(), source
    let_through = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    for source in copied:
        assert f"!{source}\n" in let_through, source


def test_the_compose_file_opens_nothing_beyond_this_machine_and_mounts_what_exists() -> None:
    (compose,) = documents(DEPLOY / "compose" / "compose.yaml")
    wanted = {"pdp", "compact", "redis", "opa", "postgresql", "keycloak", "envoy", "prometheus", "grafana"}
    assert set(compose["services"]) == wanted
    for name, service in compose["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["mem_limit"], name
        assert not service["image"].endswith(":latest"), name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (DEPLOY / "compose" / source).exists(), volume
    build = compose["services"]["pdp"]["build"]
    assert (DEPLOY / "compose" / build["context"] / build["dockerfile"]).resolve().exists()


@pytest.mark.parametrize("path", ["compose/envoy.yaml"])
def test_the_small_gateway_is_one_for_envoy(path: str) -> None:
    said([str(Path(sys.executable).parent / "envoy"), "--mode", "validate", "-c", str(DEPLOY / path)])
