# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from mesh_agent.envoy.admin import EnvoyAdmin, EnvoyError
from mesh_agent.health.service import HealthStatus
from mesh_agent.identity.model import IdentityState, IdentityStatus
from mesh_agent.identity.service import IdentityService
from mesh_agent.identity.settings import ControlPlaneSettings
from mesh_agent.relay.record import Record
from mesh_agent.settings import AgentSettings, WorkloadSettings
from mesh_agent.status.exposition import Sample
from mesh_agent.status.report import DnsPart, Report
from mesh_agent.status.settings import StatusSettings
from mesh_agent.status.table import render
from mesh_agent.status.web import StatusPages
from mesh_core.http import HttpServer, Request, Response
from mesh_core.wire import types
from tests.wire.agent.support.clock import StepClock

END = datetime(2030, 1, 2, tzinfo=UTC)
SETTINGS = AgentSettings(
    control_plane=ControlPlaneSettings(addresses=("control:15012",)),
    workload=WorkloadSettings(
        name="api-1", namespace="shop", service_account="api", addresses=("10.0.0.1",)
    ),
)


@dataclass
class Identity:
    state: IdentityState = IdentityState.VALID
    needs_token: bool = False
    last_error: str | None = None
    left: float | None = 3600.0

    def status(self) -> IdentityStatus:
        return IdentityStatus(
            self.state,
            "spiffe://td/ns/shop/sa/api",
            "ab",
            END,
            END,
            self.needs_token,
            self.last_error,
        )

    def seconds_left(self) -> float | None:
        return self.left


@dataclass
class Envoy:
    alive: bool = True
    stats: bytes | None = b"envoy_istio_requests_total 3\n"

    async def live(self) -> bool:
        return self.alive

    async def prometheus(self, query: str = "") -> bytes:
        if self.stats is None:
            raise EnvoyError("not there")
        return self.stats + query.encode()


@dataclass
class DnsStatus:
    names: int = 3
    upstreams: tuple[str, ...] = ("10.0.0.53",)
    ready: bool = True


@dataclass
class Dns:
    answer: DnsStatus = field(default_factory=DnsStatus)

    def status(self) -> DnsStatus:
        return self.answer

    def metrics(self) -> list[Sample]:
        return [("dns_total", {}, 5)]


@dataclass
class Host:
    identity: Identity = field(default_factory=Identity)
    envoy: Envoy = field(default_factory=Envoy)
    dns: Dns | None = field(default_factory=Dns)
    health: HealthStatus = field(default_factory=lambda: HealthStatus("off"))
    record: Record = field(default_factory=lambda: Record(StepClock()))
    names: object | None = None

    settings: AgentSettings = SETTINGS

    def report(self) -> Report:
        return Report(
            settings=self.settings,
            identity=cast(IdentityService, self.identity),
            relay=self.record,
            dns=cast(DnsPart | None, self.dns),
            health=lambda: self.health,
            redirect=lambda: {"applied": True, "drift": ("the table is gone",)},
            proxy=cast(EnvoyAdmin, self.envoy),
        )

    async def get(self, target: str, peer: str = "127.0.0.1", method: str = "GET") -> Response:
        pages = StatusPages(self.report(), lambda: self.names)
        return await pages.handle(Request(method, target, {}, peer))

    async def status(self) -> Any:
        return json.loads((await self.get("/status")).body)


async def test_ready_is_the_truth_of_the_moment() -> None:
    host = Host()
    assert (await host.get("/healthz/ready", "10.0.0.9")).status == 200
    host.envoy.alive = False
    host.identity.state, host.identity.last_error = IdentityState.EXPIRED, "it ended yesterday"
    assert host.dns
    host.dns.answer.ready = False
    answer = await host.get("/healthz/ready")
    assert answer.status == 503
    assert answer.body.decode().splitlines() == [
        "proxy: Envoy is not there or waits for its configuration",
        "identity: it ended yesterday",
        "dns: no name table yet",
    ]
    host.envoy.alive, host.identity.state, host.dns = True, IdentityState.VALID, None
    assert (await host.get("/healthz/ready")).status == 200


async def test_status_is_the_whole_picture() -> None:
    host = Host(health=HealthStatus("unhealthy", "502"))
    host.record.connected("control:15012")
    host.record.refused(types.LISTENER, ("l",), "bad")
    status = await host.status()
    assert status["ready"] is True
    assert status["identity"]["state"] == "valid"
    assert status["identity"]["not_after"] == "2030-01-02T00:00:00+00:00"
    assert status["control_plane"]["address"] == "control:15012"
    assert status["control_plane"]["source"] == "live"
    assert status["proxy"] == {
        "ready": True,
        "nacks": [{"type_url": types.LISTENER, "resource": "l", "message": "bad"}],
    }
    assert status["dns"] == {"names": 3, "upstreams": ["10.0.0.53"], "ready": True}
    assert status["redirect"] == {"applied": True, "drift": ["the table is gone"]}
    assert status["health"] == {"state": "unhealthy", "message": "502"}
    assert status["workload"]["name"] == "api-1"


async def test_a_person_reads_the_same() -> None:
    host = Host(
        identity=Identity(IdentityState.EXPIRED, needs_token=True, last_error="no join token"),
        health=HealthStatus("unhealthy", "502"),
    )
    host.record.refused(types.LISTENER, ("l",), "bad\n")
    host.record.lost("control plane control:15012: no answer in time", cached=True)
    text = render(await host.status())
    for expected in (
        "not ready",
        "identity: no join token",
        "shop/api-1",
        "needs a join token",
        "no answer in time",
        "last good configuration",
        "refuses Listener l: bad",
        "3 names, others asked of 10.0.0.53",
        "unhealthy 502",
        "redirect       applied",
        "drift: the table is gone",
    ):
        assert expected in text
    host.record.connected("control:15012")
    assert "control:15012 since 2030-01-01" in render(await host.status())


async def test_metrics_are_merged_and_never_fail() -> None:
    host = Host(health=HealthStatus("healthy"))
    host.record.counts.requests["Cluster"] = 2
    answer = await host.get("/stats/prometheus?usedonly", "10.0.0.9")
    text = answer.body.decode()
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    for line in (
        'istio_agent_cert_expiry_seconds{resource_name="default"} 3600',
        "mesh_agent_identity_valid 1",
        "mesh_agent_control_plane_connected 0",
        'mesh_agent_xds_requests_total{type="Cluster"} 2',
        "mesh_agent_application_healthy 1",
        "dns_total 5",
        "istio_requests_total 3",
    ):
        assert f"{line}\n" in text
    assert text.endswith("usedonly")
    host.envoy.stats, host.identity.left = None, None
    text = (await host.get("/metrics")).body.decode()
    assert "cert_expiry" not in text
    assert "dns_total 5" in text
    assert 'mesh_agent_scrape_failures_total{type="envoy"} 1' in text


APPLICATION = b"# TYPE jobs counter\njobs 7\n# EOF"


@pytest.mark.parametrize(
    ("status", "kind", "there"),
    [
        (200, "text/plain; version=0.0.4", True),
        (200, "text/plain", True),
        (200, "application/openmetrics-text; version=1.0.0", False),
        (404, "text/plain", False),
    ],
)
async def test_the_applications_metrics_stand_beside_the_others(
    status: int, kind: str, there: bool
) -> None:
    asked = []

    async def answer(request: Request) -> Response:
        asked.append((request.target, request.headers["accept"]))
        return Response(status, APPLICATION, kind)

    server = HttpServer(answer)
    await server.start("127.0.0.1", 0)
    try:
        section = StatusSettings(application_port=server.port, application_path="/jobs?x=1")
        host = Host(settings=replace(SETTINGS, status=section))
        text = (await host.get("/stats/prometheus")).body.decode()
    finally:
        await server.close()
    assert asked == [("/jobs?x=1", "text/plain; version=0.0.4; charset=utf-8")]
    assert ("\njobs 7\n" in text) is there
    assert ('mesh_agent_scrape_failures_total{type="application"} 1' in text) is not there
    assert "istio_requests_total 3" in text


async def test_an_application_that_is_not_there_is_counted() -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        section = StatusSettings(application_port=taken.getsockname()[1])
        host = Host(settings=replace(SETTINGS, status=section))
        text = (await host.get("/metrics")).body.decode()
    assert 'mesh_agent_scrape_failures_total{type="application"} 1' in text
    assert 'mesh_agent_scrape_failures_total{type="envoy"} 0' in text


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"application_port": 0}, "application_port"),
        ({"application_port": 15020}, "application_port"),
        ({"application_port": 15090}, "application_port"),
        ({"port": 9000, "application_port": 9000}, "application_port"),
        ({"application_path": "metrics"}, "application_path"),
    ],
)
def test_where_the_application_gives_no_metrics(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=f"^{where}: expected"):
        StatusSettings(**fields)


@pytest.mark.parametrize("target", ["/status", "/debug/ndsz"])
@pytest.mark.parametrize(
    ("peer", "status"),
    [
        ("127.0.0.1", 200),
        ("127.8.8.8", 200),
        ("::1", 200),
        ("::ffff:127.0.0.1", 200),
        ("10.0.0.9", 403),
        ("::ffff:10.0.0.9", 403),
        ("fe80::1%eth0", 403),
        ("", 403),
    ],
)
async def test_details_are_for_this_host_only(target: str, peer: str, status: int) -> None:
    assert (await Host(names=[]).get(target, peer)).status == status


async def test_other_requests() -> None:
    host = Host()
    assert (await host.get("/debug/ndsz")).status == 404
    assert (await host.get("/quitquitquit", method="POST")).status == 405
    assert (await host.get("/")).status == 404
    host.names = [{"host": "api"}]
    assert json.loads((await host.get("/debug/ndsz")).body) == [{"host": "api"}]
