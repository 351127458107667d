"""Discovery over TLS with a real client: both protocols, registration, pushes, bad input."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from envoy.config.endpoint.v3 import endpoint_pb2
from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_core.wire import types
from mesh_core.wire.messages import NameTable
from tests.wire.control.support import (
    API_CLUSTER,
    OBJECTS,
    SERVER_NAME,
    DeltaStream,
    Host,
    Plane,
    a_service,
    versions,
)


def addresses(body: bytes) -> list[str]:
    assignment = endpoint_pb2.ClusterLoadAssignment.FromString(body)
    return sorted(
        endpoint.endpoint.address.socket_address.address
        for locality in assignment.endpoints
        for endpoint in locality.lb_endpoints
    )


async def web(plane: Plane) -> Host:
    return await Host(plane, name="web", account="web", address="10.0.0.11", group="web").join()


async def test_delta(plane: Plane) -> None:
    host = await Host(plane).join()
    async with host.delta() as stream:
        await stream.ask(types.CLUSTER)
        clusters = await stream.expect(types.CLUSTER)
        assert API_CLUSTER in versions(clusters)
        await stream.ask(types.ENDPOINT, API_CLUSTER, "no-such-cluster")
        endpoints = await stream.expect(types.ENDPOINT)
        # The host that has just connected is among the endpoints.
        assert addresses(endpoints.resources[0].resource.value) == ["10.0.0.21"]
        assert list(endpoints.removed_resources) == ["no-such-cluster"]
        await stream.ask(types.LISTENER)
        assert "virtualInbound" in versions(await stream.expect(types.LISTENER))
        await stream.ask(types.ROUTE, "80")
        assert list(versions(await stream.expect(types.ROUTE))) == ["80"]
        await stream.send(types.NAME_TABLE)
        table = NameTable.FromString(
            (await stream.expect(types.NAME_TABLE)).resources[0].resource.value
        )
        assert list(table.table) == ["api.shop.svc.cluster.local"]
        assert await stream.nothing()
        [proxy] = (await plane.status())["proxies"]
        assert (proxy["name"], proxy["group"], proxy["identity"]) == (
            "api-1",
            "api",
            "spiffe://cluster.local/ns/shop/sa/api",
        )
        for name in (
            "Cluster",
            "ClusterLoadAssignment",
            "Listener",
            "RouteConfiguration",
            "NameTable",
        ):
            known = proxy["types"][name]
            assert known["acked"] == known["sent"] != ""
    metrics = await plane.metrics()
    assert 'pilot_xds_pushes{type="cds"} 1\n' in metrics


async def test_state_of_the_world(plane: Plane) -> None:
    host = await Host(plane).join()
    async with host.state_of_the_world() as stream:
        await stream.ask(types.CLUSTER)
        clusters = await stream.expect(types.CLUSTER)
        assert len(clusters.resources) > 1
        await stream.ask(types.ENDPOINT, API_CLUSTER)
        endpoints = await stream.expect(types.ENDPOINT, API_CLUSTER)
        assert addresses(endpoints.resources[0].value) == ["10.0.0.21"]
        plane.write(a_service("more"), "more.yaml")
        again = await stream.expect(types.CLUSTER)
        assert len(again.resources) == len(clusters.resources) + 1
        assert await stream.nothing()


async def test_a_host_that_comes_and_goes_is_an_endpoint_meanwhile(tmp_path: Path) -> None:
    plane = Plane(tmp_path, grace=0.2)
    async with plane.running():
        client, host = await web(plane), await Host(plane).join()
        async with client.delta() as stream:
            await stream.ask(types.ENDPOINT, API_CLUSTER)
            assert (
                addresses((await stream.expect(types.ENDPOINT)).resources[0].resource.value) == []
            )
            async with host.delta() as other:
                await other.ask(types.CLUSTER)
                response = await stream.expect(types.ENDPOINT)
                assert addresses(response.resources[0].resource.value) == ["10.0.0.21"]
                workloads = (await plane.status())["workloads"]
                assert [w["name"] for w in workloads] == ["api-10.0.0.21", "web-10.0.0.11"]
            response = await stream.expect(types.ENDPOINT)
            assert addresses(response.resources[0].resource.value) == []


async def test_health_decides_whether_a_probed_host_gets_calls(plane: Plane) -> None:
    client = await web(plane)
    probed = {"PROXY_CONFIG": {"readinessProbe": {"httpGet": {"path": "/", "port": 80}}}}
    host = await Host(plane, more=probed).join()
    async with client.delta() as stream, host.delta() as other:
        await stream.ask(types.ENDPOINT, API_CLUSTER)
        await stream.expect(types.ENDPOINT)
        # Health before anything else is ignored, as istiod does.
        await other.stream.send_message(
            other.request(type_url=types.HEALTH_INFORMATION).SerializeToString()
        )
        await other.ask(types.NAME_TABLE)
        await other.expect(types.NAME_TABLE)
        assert await stream.nothing()
        await other.send(types.HEALTH_INFORMATION)
        response = await stream.expect(types.ENDPOINT)
        assert addresses(response.resources[0].resource.value) == ["10.0.0.21"]
        await other.send(types.HEALTH_INFORMATION, error_detail={"code": 13, "message": "503"})
        response = await stream.expect(types.ENDPOINT)
        assert addresses(response.resources[0].resource.value) == []
        assert await other.nothing()


async def test_endpoints_follow_a_changed_cluster_at_once(plane: Plane) -> None:
    host = await web(plane)
    async with host.delta() as stream:
        await stream.ask(types.CLUSTER)
        await stream.expect(types.CLUSTER)
        await stream.ask(types.ENDPOINT, API_CLUSTER)
        await stream.expect(types.ENDPOINT)
        rule = (
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
            "metadata: {name: api, namespace: shop}\n"
            "spec: {host: api, trafficPolicy: {loadBalancer: {simple: RANDOM}}}\n"
        )
        plane.write(OBJECTS + rule)
        assert list(versions(await stream.expect(types.CLUSTER))) == [API_CLUSTER]
        assert list(versions(await stream.expect(types.ENDPOINT))) == [API_CLUSTER]


async def test_a_restart_sends_only_what_differs(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    plane.write(a_service("old"), "old.yaml")
    have: dict[str, dict[str, str]] = {}
    async with plane.running():
        host = await Host(plane).join()
        async with host.delta() as stream:
            for type_url in (types.CLUSTER, types.LISTENER):
                await stream.ask(type_url)
                have[type_url] = versions(await stream.expect(type_url))
    async with plane.running(), host.delta() as stream:
        for type_url in (types.CLUSTER, types.LISTENER):
            await stream.ask(type_url, have=have[type_url])
            response = await stream.expect(type_url)
            assert not response.resources
            assert not response.removed_resources
    (plane.objects / "old.yaml").unlink()
    plane.write(a_service("new"), "new.yaml")
    async with plane.running(), host.delta() as stream:
        await stream.ask(types.CLUSTER, have=have[types.CLUSTER])
        response = await stream.expect(types.CLUSTER)
        assert list(versions(response)) == ["outbound|80||new.shop.svc.cluster.local"]
        assert list(response.removed_resources) == ["outbound|80||old.shop.svc.cluster.local"]


async def test_streams_are_told_that_the_control_plane_stops(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    with pytest.raises(GRPCError) as caught:
        async with AsyncExitStack() as stack:
            running = await stack.enter_async_context(AsyncExitStack())
            await running.enter_async_context(plane.running())
            stream = await stack.enter_async_context((await Host(plane).join()).delta())
            await stream.ask(types.CLUSTER)
            await stream.expect(types.CLUSTER)
            await running.aclose()
            await stream.receive()
    assert caught.value.status is Status.UNAVAILABLE
    assert caught.value.message == "the control plane is stopping"


async def test_a_refusal_stands_in_the_status_until_it_is_mended(plane: Plane) -> None:
    host = await web(plane)
    async with host.delta() as stream:
        await stream.ask(types.CLUSTER)
        bad = await stream.receive()
        message = f"Error adding/updating cluster(s) {API_CLUSTER}: no such thing"
        await stream.nack(bad, message)
        assert await stream.nothing()
        [proxy] = (await plane.status())["proxies"]
        assert proxy["types"]["Cluster"]["nacked"] == [
            {"resource": API_CLUSTER, "message": message}
        ]
        assert 'pilot_total_xds_rejects{type="cds"} 1\n' in await plane.metrics()
        plane.write(OBJECTS.replace("port: 80, targetPort", "port: 81, targetPort"))
        await stream.expect(types.CLUSTER)
        await stream.expect(types.CLUSTER)  # the old one's removal
        assert await stream.nothing()
        [proxy] = (await plane.status())["proxies"]
        assert proxy["types"]["Cluster"]["nacked"] == []


async def refusal(stream: DeltaStream) -> tuple[Status, str]:
    with pytest.raises(GRPCError) as caught:
        async with stream:
            await stream.ask(types.CLUSTER)
            await stream.receive()
    return caught.value.status, str(caught.value.message)


async def test_without_certificate_there_is_no_configuration(plane: Plane) -> None:
    status, message = await refusal(DeltaStream(Host(plane), certificate=False))
    assert status is Status.UNAUTHENTICATED
    assert message == "no client certificate: expected a certificate of this mesh"


async def test_a_stream_ends_with_the_certificate_that_opened_it(plane: Plane) -> None:
    host = await Host(plane).join()
    host.chain.write_text("".join(await host.ask_certificate(certificate=True, seconds=2)))
    with pytest.raises(GRPCError, match="the certificate that opened this stream has expired"):
        async with host.delta() as stream:
            await stream.ask(types.CLUSTER)
            await stream.expect(types.CLUSTER)
            await stream.receive()


async def test_an_unknown_workload_group_is_named(plane: Plane) -> None:
    status, message = await refusal((await Host(plane, group="apy").join()).delta())
    assert status is Status.FAILED_PRECONDITION
    assert "cannot find WorkloadGroup shop/apy" in message
    assert "api" in message.replace("apy", "")
    assert (await plane.status())["proxies"] == []


async def test_another_identity_than_the_certificates_is_refused_and_both_are_named(
    plane: Plane,
) -> None:
    host = await Host(plane).join()
    host.account = "web"
    status, message = await refusal(host.delta())
    assert status is Status.PERMISSION_DENIED
    assert "SERVICE_ACCOUNT 'web'" in message
    assert "certificate 'api'" in message
    host.account, host.namespace = "api", "bank"
    status, message = await refusal(host.delta())
    assert status is Status.PERMISSION_DENIED
    assert "NAMESPACE 'bank'" in message
    assert "certificate 'shop'" in message
    host.namespace, host.group = "shop", "web"
    status, message = await refusal(host.delta())
    assert status is Status.PERMISSION_DENIED
    assert '"api" vs "web"' in message


async def test_an_unreadable_node_is_refused(plane: Plane) -> None:
    host = await Host(plane).join()
    host.address = "nowhere"
    status, message = await refusal(host.delta())
    assert status is Status.INVALID_ARGUMENT
    assert "nowhere" in message
    with pytest.raises(GRPCError, match="the first request has no node"):
        async with host.delta() as stream:
            stream._with_node = False
            await stream.ask(types.CLUSTER)
            await stream.receive()
    with pytest.raises(GRPCError, match="expected a DeltaDiscoveryRequest"):
        async with host.delta() as stream:
            await stream.stream.send_message(b"\xff\xff")
            await stream.receive()


async def test_a_typo_in_an_object_keeps_what_was(plane: Plane) -> None:
    host = await web(plane)
    async with host.delta() as stream:
        await stream.ask(types.CLUSTER)
        await stream.expect(types.CLUSTER)
        plane.write(OBJECTS.replace("targetPort", "targetPrt"))
        problems = (await plane.status_when(lambda status: status["problems"]))["problems"]
        assert await stream.nothing()
        assert "targetPrt" in problems[0]["text"]
        assert "shop.yaml" in problems[0]["where"]
        assert (await plane.status())["objects"] == {"Service": 1, "WorkloadGroup": 2}


async def test_a_client_that_does_not_read_keeps_nobody_waiting(plane: Plane) -> None:
    plane.write("".join(a_service(f"s{number}") for number in range(150)), "many.yaml")
    slow, quick = await web(plane), await Host(plane).join()
    # The smallest window that HTTP/2 allows, and nobody opens it again.
    window = Configuration(
        http2_stream_window_size=65535,
        http2_connection_window_size=65535,
        ssl_target_name_override=SERVER_NAME,
    )
    async with slow.delta(window) as stuck:
        await stuck.ask(types.CLUSTER)
        await stuck.ask(types.LISTENER)
        await plane.status_when(lambda status: [p for p in status["proxies"] if p["types"]])
        async with quick.delta() as stream:
            await stream.ask(types.CLUSTER)
            while len((await stream.expect(types.CLUSTER)).resources) < 150:
                pass
            plane.write(a_service("last"), "last.yaml")
            response = await stream.expect(types.CLUSTER)
            assert list(versions(response)) == ["outbound|80||last.shop.svc.cluster.local"]
        [proxy] = [p for p in (await plane.status())["proxies"] if p["name"] == "web"]
        # The clusters are under way still; the listeners' turn comes when the client reads.
        assert proxy["types"]["Cluster"]["sent"] != proxy["types"]["Listener"]["sent"]
