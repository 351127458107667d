# SPDX-License-Identifier: Apache-2.0
"""Calls between two hosts over mutual TLS, what is logged of them, and Istio's metrics."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import ApiServer, Istiod
from mesh_agent.settings import Paths
from mesh_core.wire import messages
from tests.wire.agent.support.app import EXCHANGE
from tests.wire.agent.support.exchange import check_exchange
from tests.wire.agent.support.families import check_ipv6
from tests.wire.agent.support.host import Host, running_host
from tests.wire.agent.support.meshes import IstiodMesh, Mesh, host_of, service
from tests.wire.agent.support.pair import (
    ADDRESSES,
    IPV6,
    application,
    call,
    two_hosts,
)
from tests.wire.agent.support.proxy import Envoy, running_envoy
from tests.wire.agent.support.scrape import metrics, value
from tests.wire.agent.support.wait import until

pytestmark = [pytest.mark.timeout(180), pytest.mark.needs_envoy, pytest.mark.needs_root]

PORTS = (("http", 80, 8080), ("grpc", 90, 9090), ("tcp", 70, 7070), ("auto", 81, 8080))


def virtual_address(host: Host, name: str) -> str:
    return str(messages.NameTable.FromString(host.tables[-1]).table[name].ips[0])


def as_helm_has_it() -> dict[str, Any]:
    """A Telemetry: istio.stats in each chain, and an access log to the file /dev/stdout.

    Durations have other labels than all others.
    """
    overrides = {
        "match": {"metric": "REQUEST_DURATION"},
        "tagOverrides": {
            "source_principal": {"operation": "REMOVE"},
            "destination_service": {"operation": "REMOVE"},
            "request_protocol": {"operation": "REMOVE"},
            "response_flags": {"operation": "REMOVE"},
            "method": {"value": "request.method"},
            "destination_version": {"value": "'v7'"},
            "peer": {"value": "filter_state.upstream_peer.app"},
            "broken": {"value": "request.method =="},
        },
    }
    return {
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "metadata": {"name": "default"},
        "spec": {
            "metrics": [{"providers": [{"name": "prometheus"}], "overrides": [overrides]}],
            "accessLogging": [{"providers": [{"name": "envoy"}]}],
        },
    }


async def test_calls_over_mutual_tls_with_istios_metrics(
    mesh: Mesh, tmp_path: Path, envoy_binary: Path
) -> None:
    mesh.apply(service("api", *PORTS))
    if mesh.kind == "istiod":
        mesh.apply(as_helm_has_it())
    name = f"api.{mesh.namespace}.svc.cluster.local"
    here, there = tmp_path / "web", tmp_path / "api"
    paths = []
    for directory in (here, there):
        directory.mkdir()
        paths.append(Paths(directory / "state", directory / "run"))
    web = host_of(mesh, here, "web", address=ADDRESSES[0])
    web = replace(web, workload=replace(web.workload, labels={"app": "web", "version": "v1"}))
    api = host_of(mesh, there, "api", address=ADDRESSES[1], ports=("http", "grpc", "tcp"))
    with two_hosts() as (first, second):
        async with (
            running_host(api, paths[1]) as server,
            running_envoy(envoy_binary, api, paths[1], there, namespace=second) as serving,
            application(second),
        ):
            await until(serving.admin.live, 30)

            async def serves() -> bool:
                return "inbound|8080||" in await serving.names("clusters")

            await until(serves, 30)
            async with (
                running_host(web, paths[0]) as client,
                running_envoy(envoy_binary, web, paths[0], here, namespace=first) as calling,
            ):
                await until(calling.admin.live, 30)
                await until(lambda: client.tables and name in str(client.tables[-1]), 15)
                address = virtual_address(client, name)

                async def captures(envoy: Envoy = calling) -> bool:
                    wanted = {f"{address}_70", f"{address}_81", "0.0.0.0_90"}
                    return wanted <= (await envoy.names("listeners")).keys()

                await until(captures, 30)

                by = f"By=spiffe://cluster.local/ns/{mesh.namespace}/sa/api"
                caller = f"URI=spiffe://cluster.local/ns/{mesh.namespace}/sa/web"
                for kind, port in (
                    *(("http", 80), ("http", 81), ("grpc", 90), ("tcp", 70)),
                    ("proof", 80),  # last: one from there may need the same port again
                ):

                    async def answers(kind: str = kind, port: int = port) -> bool:
                        answer = await call(first, kind, address, port)
                        assert EXCHANGE not in answer, (kind, port)  # neither way
                        return answer == "hello" or (by in answer and caller in answer)

                    await until(answers, 30)
                assert client.relay.record.refusals == server.relay.record.refusals == ()
                await _check_proof(here, mesh)
                await _check_metrics(calling, serving, mesh, name)
                if mesh.kind == "istiod":
                    await check_exchange(first, serving)
                    await _check_telemetry(calling, serving)
                await check_ipv6(first, calling, serving, mesh)


async def test_a_control_plane_with_both_families_is_taken_at_its_word(
    api_server: ApiServer,
    istiod: Istiod,
    namespaces: Iterator[str],
    tmp_path: Path,
    envoy_binary: Path,
    paths: Paths,
) -> None:
    """Istiod with dual stack, whose listeners have both families already."""
    environment = {"ISTIO_DUAL_STACK": "true"}
    with (
        two_hosts() as (namespace, _other),
        Istiod(
            api_server,
            tmp_path / "istiod",
            name="istiod-dual",
            root=istiod.root,
            environment=environment,
        ) as dual,
    ):
        mesh = IstiodMesh(api_server, dual, next(namespaces))
        api = host_of(mesh, tmp_path, "api", ports=("http",))
        api = replace(api, workload=replace(api.workload, addresses=(ADDRESSES[0], IPV6[0])))
        async with (
            running_host(api, paths) as host,
            running_envoy(envoy_binary, api, paths, tmp_path, namespace=namespace) as envoy,
        ):
            await until(envoy.admin.live, 30)

            async def serves() -> bool:
                return "inbound|8080||" in await envoy.names("clusters")

            await until(serves, 30)
            listeners = await envoy.contents("listeners")
            clusters = await envoy.contents("clusters")
            for name in ("virtualOutbound", "virtualInbound"):
                assert listeners[name].count('"address": "::"') == 1
                assert listeners[name].count('"address": "0.0.0.0"') == 1
            for name in ("inbound|8080||", "InboundPassthroughCluster"):
                assert clusters[name].count('"address": "::6"') == 1
            assert host.relay.record.refusals == ()


async def _check_proof(directory: Path, mesh: Mesh) -> None:
    def written() -> list[dict[str, str]]:
        file = directory / "proof.log"
        return [json.loads(line) for line in file.read_text().splitlines()]

    await until(written)
    for line in written():
        if line["response_code"] == 200:
            assert line["upstream_peer_uri_san"].endswith(f"/ns/{mesh.namespace}/sa/api")
            assert line["upstream_tls_version"] == "TLSv1.3"
            return
    raise AssertionError(written())


async def _check_metrics(calling: Envoy, serving: Envoy, mesh: Mesh, name: str) -> None:
    async def told() -> bool:  # histograms are merged every few seconds
        for envoy in (calling, serving):
            counts = Counter[str]()
            for metric, _, number in await metrics(envoy):
                counts[metric] += int(number)
            wanted = ("istio_response_bytes_count", "istio_requests_total")
            if min(counts[metric] for metric in wanted) < 2:
                return False
        return True

    await until(told, 20)
    found = await metrics(calling)
    principal = f"spiffe://cluster.local/ns/{mesh.namespace}/sa"
    service_labels = {
        "destination_service": name,
        "destination_service_name": "api",
        "destination_service_namespace": mesh.namespace,
    }
    count, labels = value(
        found,
        "istio_requests_total",
        reporter="source",
        request_protocol="http",
        response_code="200",
    )
    assert count >= 2
    expected = {
        **service_labels,
        "source_workload": "web",
        "source_workload_namespace": mesh.namespace,
        "source_principal": f"{principal}/web",
        "source_canonical_service": "web",
        "source_canonical_revision": "v1",
        "source_cluster": mesh.cluster_id,
        "source_app": "web",
        "source_version": "v1",
        "destination_workload": {
            "istiod": "api",
            "embedded": f"api-{ADDRESSES[1]}-network-1",
        }[mesh.kind],
        "destination_workload_namespace": mesh.namespace,
        "destination_principal": f"{principal}/api",
        "destination_canonical_service": "api",
        "destination_canonical_revision": "latest",
        "destination_cluster": mesh.cluster_id,
        "destination_app": "unknown",
        "destination_version": "unknown",
        "response_flags": "-",
        "connection_security_policy": "unknown",
    }
    assert {key: labels[key] for key in expected} == expected
    grpc, labels = value(
        found, "istio_requests_total", request_protocol="grpc", response_code="200"
    )
    assert grpc >= 1
    assert labels["grpc_response_status"] == "0"
    for histogram in ("request_duration_milliseconds", "request_bytes", "response_bytes"):
        count, _ = value(found, f"istio_{histogram}_count", response_code="200")
        assert count >= 2
    opened, _ = value(found, "istio_tcp_connections_opened_total", **service_labels)
    closed, labels = value(found, "istio_tcp_connections_closed_total", **service_labels)
    assert opened == closed >= 1  # also those that came too early
    assert labels["request_protocol"] == "tcp"
    assert "response_code" not in labels
    for way in ("sent", "received"):
        count, _ = value(found, f"istio_tcp_{way}_bytes_total", **service_labels)
        assert count >= len("hello\n")
    found = await metrics(serving)
    count, labels = value(
        found, "istio_requests_total", reporter="destination", request_protocol="http"
    )
    assert count >= 2
    expected = {
        **service_labels,
        "source_principal": f"{principal}/web",
        **_caller(mesh),
        "source_workload_namespace": mesh.namespace,
        "destination_principal": f"{principal}/api",
        "destination_workload": "api",
        "destination_app": "api",
        "connection_security_policy": "mutual_tls",
    }
    assert {key: labels[key] for key in expected} == expected
    _, labels = value(found, "istio_tcp_sent_bytes_total", reporter="destination", **service_labels)
    assert labels["source_workload"] == "unknown"  # nothing is exchanged over TCP


def _caller(mesh: Mesh) -> dict[str, str]:
    """What the host that is called knows of its caller: istiod has them tell each other."""
    if mesh.kind == "embedded":
        return {"source_workload": "unknown"}
    return {
        "source_workload": "web",
        "source_app": "web",
        "source_version": "v1",
        "source_canonical_service": "web",
        "source_canonical_revision": "v1",
        "source_cluster": mesh.cluster_id,
    }


async def _check_telemetry(calling: Envoy, serving: Envoy) -> None:
    for envoy in (calling, serving):
        samples = [
            labels
            for name, labels, _ in await metrics(envoy)
            if name == "istio_request_duration_milliseconds_count"
        ]
        assert samples
        for labels in samples:
            gone = {"source_principal", "destination_service", "request_protocol", "response_flags"}
            assert not labels.keys() & {*gone, "peer", "broken"}
            assert (labels["method"], labels["destination_version"]) in (
                ("GET", "v7"),
                ("POST", "v7"),
            )
            if envoy is calling:  # told by the principal, which is not a label here
                assert labels["source_workload_namespace"] != "unknown"
        assert len(samples) == len({tuple(sorted(labels.items())) for labels in samples})
