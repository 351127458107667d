# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from mesh_agent.adapt.abilities import HAS_IPV6
from mesh_agent.dns.settings import DnsSettings
from mesh_agent.envoy.bootstrap import bootstrap
from mesh_agent.identity.settings import ControlPlaneSettings
from mesh_agent.redirect.settings import RedirectSettings
from mesh_agent.settings import AgentSettings, Paths, PortSettings, WorkloadSettings
from mesh_agent.status.settings import StatusSettings

API = AgentSettings(
    control_plane=ControlPlaneSettings(addresses=("10.231.1.10:15012", "10.231.1.12:15012")),
    workload=WorkloadSettings(
        name="api-1",
        namespace="shop",
        service_account="api",
        group="api",
        addresses=("10.231.1.21", "fd31:1::21", "10.231.1.21"),
        labels={"app": "api", "version": "v1", "topology.istio.io/locality": "eu.a.1"},
        ports=(PortSettings("http", 8080),),
    ),
)
GATEWAY = AgentSettings(
    control_plane=ControlPlaneSettings(addresses=("10.231.1.10:15012",)),
    workload=WorkloadSettings(
        name="gw", namespace="istio-system", service_account="gateway", addresses=("10.231.1.2",)
    ),
    profile="gateway",
    network_view=("network-1", "network-2"),
    dns=DnsSettings(enabled=False),
)


def node(settings: AgentSettings, *, has_ipv6: bool = False) -> Any:
    return bootstrap(settings, Paths(), has_ipv6=has_ipv6)["node"]


def test_a_kubernetes_node_is_a_sidecar_with_captured_traffic() -> None:
    found = node(dataclasses.replace(API, profile="node"))
    assert found["id"] == "sidecar~10.231.1.21~api-1.shop~shop.svc.cluster.local"
    assert found["metadata"]["INTERCEPTION_MODE"] == "REDIRECT"


@pytest.mark.parametrize("has_ipv6", [True, False])
@pytest.mark.parametrize("ipv6", ["auto", False])
def test_the_relay_is_told_whether_ipv6_may_be_captured(
    ipv6: Literal["auto", False], has_ipv6: bool
) -> None:
    redirect = RedirectSettings(ipv6=ipv6)
    found = node(replace(API, redirect=redirect), has_ipv6=has_ipv6)
    assert found["metadata"].get(HAS_IPV6, False) is has_ipv6


def test_a_workload_says_who_it_is_as_istios_agent_does() -> None:
    found = node(API)
    assert found["id"] == "sidecar~10.231.1.21~api-1.shop~shop.svc.cluster.local"
    assert found["cluster"] == "api.shop"
    assert found["locality"] == {"region": "eu", "zone": "a", "sub_zone": "1"}
    metadata = found["metadata"]
    assert metadata["INSTANCE_IPS"] == "10.231.1.21,fd31:1::21"
    assert json.loads(metadata["POD_PORTS"]) == [
        {"name": "http", "containerPort": 8080, "protocol": "TCP"}
    ]
    assert metadata["LABELS"] == {
        "app": "api",
        "version": "v1",
        "topology.istio.io/locality": "eu.a.1",
        "service.istio.io/canonical-name": "api",
        "service.istio.io/canonical-revision": "v1",
    }
    assert {key: metadata[key] for key in ("NAME", "NAMESPACE", "SERVICE_ACCOUNT")} == {
        "NAME": "api-1",
        "NAMESPACE": "shop",
        "SERVICE_ACCOUNT": "api",
    }
    assert metadata["AUTO_REGISTER_GROUP"] == metadata["WORKLOAD_NAME"] == "api"
    assert (metadata["NETWORK"], metadata["CLUSTER_ID"]) == ("network-1", "mesh1")
    assert metadata["DNS_CAPTURE"] == metadata["DNS_AUTO_ALLOCATE"] == "true"
    assert metadata["WORKLOAD_IDENTITY_SOCKET_FILE"] == "socket"
    assert metadata["INTERCEPTION_MODE"] == "REDIRECT"
    assert metadata["PROXY_CONFIG"]["discoveryAddress"] == "10.231.1.10:15012"
    assert "readinessProbe" not in metadata["PROXY_CONFIG"]
    assert "REQUESTED_NETWORK_VIEW" not in metadata


def test_a_gateway_is_a_router_that_is_not_registered() -> None:
    found = node(GATEWAY)
    assert found["id"] == "router~10.231.1.2~gw.istio-system~istio-system.svc.cluster.local"
    assert found["cluster"] == "gw.istio-system"
    metadata = found["metadata"]
    assert metadata["REQUESTED_NETWORK_VIEW"] == "network-1,network-2"
    for key in ("AUTO_REGISTER_GROUP", "DNS_CAPTURE", "POD_PORTS", "INTERCEPTION_MODE"):
        assert key not in metadata


def test_it_speaks_to_the_agent_over_its_sockets_and_status_port() -> None:
    settings = replace(API, status=StatusSettings(port=16000))
    found = bootstrap(settings, Paths(run=Path("/somewhere")), has_ipv6=False)
    clusters = {
        each["name"]: each["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        for each in found["static_resources"]["clusters"]
    }
    assert clusters["xds-grpc"]["address"]["pipe"]["path"] == "/somewhere/mesh-agent/xds.sock"
    assert clusters["sds-grpc"]["address"]["pipe"]["path"] == "/somewhere/mesh-agent/sds.sock"
    assert clusters["agent"]["address"]["socket_address"] == {
        "address": "127.0.0.1",
        "port_value": 16000,
    }
    admin = found["admin"]["address"]["pipe"]
    assert admin == {"path": "/somewhere/mesh-proxy/admin.sock", "mode": 0o660}
    ads = found["dynamic_resources"]["ads_config"]
    assert (ads["api_type"], ads["set_node_on_first_message_only"]) == ("DELTA_GRPC", True)


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (("10.0.0.1",), ["0.0.0.0"]),
        (("fd00::1",), ["::"]),
        (("fd00::1", "10.0.0.1"), ["0.0.0.0", "::"]),
    ],
)
def test_its_own_listeners_are_on_the_families_that_the_host_has(
    addresses: tuple[str, ...], expected: list[str]
) -> None:
    settings = replace(API, workload=replace(API.workload, addresses=addresses))
    for listener in bootstrap(settings, Paths(), has_ipv6=True)["static_resources"]["listeners"]:
        found = [listener["address"], *(a["address"] for a in listener["additional_addresses"])]
        assert [each["socket_address"]["address"] for each in found] == expected


@pytest.mark.needs_envoy
@pytest.mark.parametrize("settings", [API, GATEWAY], ids=["vm", "gateway"])
def test_envoy_takes_it_without_a_warning(
    settings: AgentSettings, envoy_binary: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bootstrap.json"
    path.write_text(json.dumps(bootstrap(settings, Paths(), has_ipv6=True)))
    command = [envoy_binary, "--mode", "validate", "-c", path, "-l", "warning"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warning]" not in done.stderr
