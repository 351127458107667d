# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from mesh_agent.envoy.probe import readiness_probe
from mesh_agent.health.settings import Exec, Grpc, HttpGet, ReadinessProbe, TcpSocket

TIMES = {
    "initialDelaySeconds": 0,
    "periodSeconds": 10,
    "timeoutSeconds": 1,
    "successThreshold": 1,
    "failureThreshold": 3,
}


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (
            ReadinessProbe(http_get=HttpGet(8080, "/healthz", headers={"Host": "api"})),
            {
                "httpGet": {
                    "path": "/healthz",
                    "port": 8080,
                    "scheme": "HTTP",
                    "httpHeaders": [{"name": "Host", "value": "api"}],
                }
            },
        ),
        (
            ReadinessProbe(tcp_socket=TcpSocket(5432, "10.0.0.1")),
            {"tcpSocket": {"port": 5432, "host": "10.0.0.1"}},
        ),
        (ReadinessProbe(grpc=Grpc(9000)), {"grpc": {"port": 9000}}),
        (
            ReadinessProbe(exec=Exec(("pg_isready", "-q"))),
            {"exec": {"command": ["pg_isready", "-q"]}},
        ),
    ],
    ids=["http", "tcp", "grpc", "exec"],
)
def test_each_kind_in_istios_words(probe: ReadinessProbe, expected: dict[str, Any]) -> None:
    assert readiness_probe(probe) == {**expected, **TIMES}


def test_seconds_are_whole_and_never_cut_to_nothing() -> None:
    probe = ReadinessProbe(grpc=Grpc(1), period_seconds=0.2, timeout_seconds=1.5)
    found = readiness_probe(probe)
    assert (found["periodSeconds"], found["timeoutSeconds"]) == (1, 2)
