"""Manifests say what the services read: names, ports, settings, metrics."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from services.install import kafka_version

from tradecore_shells.plumbing.catalogs import load_catalog
from tradecore_shells.plumbing.config import (
    CacheSettings,
    LogSettings,
    ObserveSettings,
    StoreSettings,
    load_settings,
)
from tradecore_shells.plumbing.observe import _HELP
from tradecore_shells.portfolio.config import PortfolioConfig
from tradecore_shells.trading.config import TradingConfig

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy" / "kubernetes" / "base"
TRY = ROOT / "deploy" / "kubernetes" / "try"
SETTINGS = BASE / "tradecore.toml"
CATALOG = BASE / "catalog.json"
CELLS = ("trading", "standby")
SERVICES = (*CELLS, "portfolio", "risk")
SERVERS = {"kafka": 9092, "postgres": 5432, "redis": 6379}


def _documents(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob("*.yaml")):
        yield from (one for one in yaml.safe_load_all(file.read_text("utf-8")) if one)


def _named(folder: Path, kind: str, name: str) -> dict[str, Any]:
    (found,) = (
        one
        for one in _documents(folder)
        if one["kind"] == kind and one.get("metadata", {}).get("name") == name
    )
    return found


def _pod(folder: Path, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = _named(folder, "StatefulSet", name)["spec"]["template"]["spec"]
    return spec


def _container(folder: Path, name: str) -> dict[str, Any]:
    (one,) = _pod(folder, name)["containers"]
    return one


def _environment(container: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one for one in container.get("env", [])}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return loaded


@pytest.fixture(scope="module")
def settings() -> TradingConfig:
    return load_settings(TradingConfig, SETTINGS, {})


# ------------------------------------------------------------------------------------ settings
def test_settings_are_accepted_and_name_the_servers(settings: TradingConfig) -> None:
    tables = tomllib.loads(SETTINGS.read_text("utf-8"))
    assert settings.log.url == f"kafka://kafka:{SERVERS['kafka']}"
    assert tables["cache"]["url"].startswith(f"redis://redis:{SERVERS['redis']}/")
    portfolio = load_settings(PortfolioConfig, SETTINGS, {})
    assert portfolio.log == settings.log
    assert portfolio.catalog.file == f"/etc/tradecore/{CATALOG.name}"
    read = {*TradingConfig.__struct_fields__, *PortfolioConfig.__struct_fields__, "risk"}
    assert set(tables) <= read, "a table that nobody reads"
    assert "dsn" not in SETTINGS.read_text("utf-8").replace("STORE__DSN", "").lower()


def _fields(kind: type) -> set[str]:
    return set(kind.__struct_fields__)  # type: ignore[attr-defined]


def test_every_variable_of_the_environment_is_a_setting(
    compose: dict[str, Any], settings: TradingConfig
) -> None:
    tables = {
        "log": _fields(LogSettings),
        "cache": _fields(CacheSettings),
        "store": _fields(StoreSettings),
        "observe": _fields(ObserveSettings),
        "trading": _fields(type(settings.trading)),
    }
    names = {name for one in compose["services"].values() for name in one.get("environment", {})}
    for name in SERVICES:
        names |= set(_environment(_container(BASE, name)))
    ours = {name for name in names if name.startswith("TRADECORE_")}
    assert ours >= {"TRADECORE_LOG__PARTITION", "TRADECORE_TRADING__ROLE", "TRADECORE_STORE__DSN"}
    for name in ours:
        table, _, key = name.removeprefix("TRADECORE_").lower().partition("__")
        assert key in tables[table], name


# ---------------------------------------------------------------------------------- Kubernetes
@pytest.mark.parametrize("name", SERVICES)
def test_pod_takes_its_partition_from_its_number(name: str) -> None:
    container = _container(BASE, name)
    variable = _environment(container)["TRADECORE_LOG__PARTITION"]
    field = variable["valueFrom"]["fieldRef"]["fieldPath"]
    assert field == "metadata.labels['apps.kubernetes.io/pod-index']"
    service = "trading" if name in CELLS else name
    assert container["args"] == [service, "--config", "/etc/tradecore/tradecore.toml"]


@pytest.mark.parametrize("name", SERVICES)
def test_probes_ask_the_pages_on_the_port_of_the_settings(
    name: str, settings: TradingConfig
) -> None:
    container = _container(BASE, name)
    (port,) = container["ports"]
    assert port["containerPort"] == settings.observe.port
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300
    service = _named(BASE, "Service", name)["spec"]
    assert service["ports"][0]["port"] == settings.observe.port
    labels = _named(BASE, "StatefulSet", name)["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()


@pytest.mark.parametrize("name", SERVICES)
def test_draining_gets_more_time_than_the_service_takes(name: str) -> None:
    assert _pod(BASE, name)["terminationGracePeriodSeconds"] > 60


def test_cells_keep_their_snapshots_and_stay_apart(settings: TradingConfig) -> None:
    for name, other in (CELLS, CELLS[::-1]):
        claims = _named(BASE, "StatefulSet", name)["spec"]["volumeClaimTemplates"]
        assert [one["metadata"]["name"] for one in claims] == ["data"]
        (mount,) = (m for m in _container(BASE, name)["volumeMounts"] if m["name"] == "data")
        assert Path(settings.trading.snapshots).is_relative_to(mount["mountPath"])
        rule = _pod(BASE, name)["affinity"]["podAntiAffinity"]
        (apart,) = rule["requiredDuringSchedulingIgnoredDuringExecution"]
        assert apart["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == other
    assert (
        _environment(_container(BASE, "trading"))["TRADECORE_TRADING__ROLE"]["value"] == "primary"
    )
    assert (
        _environment(_container(BASE, "standby"))["TRADECORE_TRADING__ROLE"]["value"] == "standby"
    )


def test_every_set_is_under_a_disruption_budget() -> None:
    covered: set[str] = set()
    for one in _documents(BASE):
        if one["kind"] == "PodDisruptionBudget":
            assert one["spec"]["maxUnavailable"] == 1
            (rule,) = one["spec"]["selector"]["matchExpressions"]
            covered |= set(rule["values"])
    assert covered == set(SERVICES)


def test_secrets_are_referred_to_and_never_written() -> None:
    for folder in (BASE, TRY):
        assert not [one for one in _documents(folder) if one["kind"] == "Secret"]
    for name in ("portfolio", "risk"):
        reference = _environment(_container(BASE, name))["TRADECORE_STORE__DSN"]["valueFrom"]
        assert reference == {"secretKeyRef": {"name": "tradecore-postgres", "key": "dsn"}}
    for name in CELLS:
        assert "TRADECORE_STORE__DSN" not in _environment(_container(BASE, name))


@pytest.mark.parametrize("name", [*SERVICES, *SERVERS])
def test_containers_have_no_rights(name: str) -> None:
    folder = BASE if name in SERVICES else TRY
    pod, container = _pod(folder, name), _container(folder, name)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_kustomizations_name_files_that_exist() -> None:
    for folder in (BASE, TRY):
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
        listed = set(kustomization["resources"])
        assert all((folder / name).exists() for name in listed)
        there = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert there <= listed
    assert {SETTINGS.name, CATALOG.name} == set(_named_generator()["files"])


def test_catalog_is_one() -> None:
    symbols = [spec.symbol for spec in load_catalog(CATALOG).instruments]
    assert symbols == ["BTC-USD", "ETH-USD"]


def _named_generator() -> dict[str, Any]:
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text("utf-8"))
    (generator,) = kustomization["configMapGenerator"]
    for name in SERVICES:
        maps = [v["configMap"]["name"] for v in _pod(BASE, name)["volumes"] if "configMap" in v]
        assert maps == [generator["name"]]
    found: dict[str, Any] = generator
    return found


def test_servers_answer_where_the_settings_look() -> None:
    for name, port in SERVERS.items():
        assert _named(TRY, "Service", name)["spec"]["ports"][0]["port"] == port


# ------------------------------------------------------------------------------------- compose
def test_compose_runs_the_same_services_with_the_same_settings(
    compose: dict[str, Any], settings: TradingConfig
) -> None:
    services = compose["services"]
    for name in SERVICES:
        one = services[name]
        assert one["command"][0] == ("trading" if name in CELLS else name)
        assert one["command"][2] == "/etc/tradecore/tradecore.toml"
        files = {
            inside: ROOT / file
            for file, inside, *_ in (volume.split(":") for volume in one["volumes"])
            if inside.startswith("/etc/")
        }
        assert files["/etc/tradecore/tradecore.toml"].samefile(SETTINGS)
        assert files["/etc/tradecore/catalog.json"].samefile(CATALOG)
        assert f":{settings.observe.port}/readyz" in one["healthcheck"]["test"][-1]
        assert one["ports"][0].endswith(f":{settings.observe.port}")
        assert one["depends_on"]["topics"]["condition"] == "service_completed_successfully"
        assert "dsn" not in {key.lower() for key in one["environment"]} or name not in CELLS


def test_compose_publishes_on_loopback_only(compose: dict[str, Any]) -> None:
    published = [port for one in compose["services"].values() for port in one.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_volumes_of_compose_exist(compose: dict[str, Any]) -> None:
    for name, one in compose["services"].items():
        for volume in one.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), (name, source)
            else:
                assert source in compose["volumes"], (name, source)
    dockerfile = compose["services"]["trading"]["build"]["dockerfile"]
    assert (ROOT / dockerfile).exists()


def _kafka_of_template() -> dict[str, str]:
    text = (ROOT / "services" / "kafka" / "server.properties").read_text("ascii")
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_one_broker_is_set_up_the_same_way_everywhere(compose: dict[str, Any]) -> None:
    """Whoever tries it on Docker meets the broker that the tests know."""
    image = f"apache/kafka:{kafka_version()}"
    in_compose = compose["services"]["kafka"]
    in_cluster = _container(TRY, "kafka")
    assert in_compose["image"] == in_cluster["image"] == image
    template = _kafka_of_template()
    for environment in (
        in_compose["environment"],
        {name: one["value"] for name, one in _environment(in_cluster).items()},
    ):
        for key in (
            *("auto.create.topics.enable", "log.message.timestamp.type", "message.max.bytes"),
            *("compression.type", "process.roles", "transaction.state.log.min.isr"),
        ):
            assert environment[f"KAFKA_{key.replace('.', '_').upper()}"] == template[key], key
        # Alone, a broker has to reach the disk itself.
        assert environment["KAFKA_LOG_FLUSH_INTERVAL_MESSAGES"] == "1"


# ----------------------------------------------------------------------------------- dashboard
def _expressions(panels: list[dict[str, Any]]) -> Iterator[str]:
    for panel in panels:
        yield from (target["expr"] for target in panel.get("targets", []))
        yield from _expressions(panel.get("panels", []))


def test_dashboard_shows_every_metric_and_no_other() -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text("utf-8"))
    shown = set()
    for expression in _expressions(dashboard["panels"]):
        for name in re.findall(r"tradecore_(\w+)", expression):
            shown.add(name.removesuffix("_bucket"))
    assert shown == set(_HELP)


def test_dashboard_has_a_place_for_every_panel() -> None:
    panels = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text("utf-8"))[
        "panels"
    ]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_prometheus_scrapes_every_service(settings: TradingConfig) -> None:
    file = ROOT / "deploy" / "prometheus" / "prometheus.yml"
    (job,) = yaml.safe_load(file.read_text("utf-8"))["scrape_configs"]
    (group,) = job["static_configs"]
    assert group["targets"] == [f"{name}:{settings.observe.port}" for name in SERVICES]
