# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from mesh_agent.health.state import HealthReport
from mesh_agent.relay.companion import Companion
from mesh_agent.relay.dialect import Delta, Dialect, Sotw
from mesh_core.errors import MeshError
from mesh_core.wire import discovery as discovery_pb2
from mesh_core.wire import types


@pytest.mark.parametrize("dialect", [Delta, Sotw])
def test_it_subscribes_to_names_and_reports_health(dialect: Dialect) -> None:
    reports = [HealthReport(False, "502")]
    companion = Companion(lambda table: None, lambda: reports[-1])
    (introduction,) = companion.introduction(dialect)
    names = dialect.read_request(introduction)
    assert (names.type_url, names.response_nonce) == (types.NAME_TABLE, "")
    ill = dialect.read_request(companion.health_report(dialect) or b"")
    assert ill.type_url == types.HEALTH_INFORMATION
    assert (ill.error_detail.code, ill.error_detail.message) == (13, "502")
    reports.append(HealthReport(True))
    well = dialect.read_request(companion.health_report(dialect) or b"")
    assert well.type_url == types.HEALTH_INFORMATION
    assert not well.HasField("error_detail")


def test_without_dns_and_without_a_probe_it_says_nothing() -> None:
    assert Companion(None, lambda: None).introduction(Delta) == []
    assert Companion(None, lambda: None).health_report(Delta) is None


def test_a_table_is_taken_and_acknowledged() -> None:
    tables: list[bytes] = []
    companion = Companion(tables.append, lambda: None)
    response = discovery_pb2.DeltaDiscoveryResponse(type_url=types.NAME_TABLE, nonce="7")
    response.resources.add().resource.value = b"table"
    answer = Delta.read_request(companion.hear(Delta, response))
    assert (answer.type_url, answer.response_nonce) == (types.NAME_TABLE, "7")
    assert not answer.HasField("error_detail")
    assert tables == [b"table"]
    old = discovery_pb2.DiscoveryResponse(type_url=types.NAME_TABLE, nonce="8", version_info="v")
    old.resources.add().value = b"table 2"
    answer = Sotw.read_request(companion.hear(Sotw, old))
    assert (answer.response_nonce, answer.version_info) == ("8", "v")
    assert tables == [b"table", b"table 2"]


def test_an_empty_answer_is_acknowledged_too() -> None:
    tables: list[bytes] = []
    response = discovery_pb2.DeltaDiscoveryResponse(type_url=types.NAME_TABLE, nonce="7")
    answer = Delta.read_request(Companion(tables.append, lambda: None).hear(Delta, response))
    assert answer.response_nonce == "7"
    assert tables == []


def test_an_unreadable_table_is_refused() -> None:
    def refuse(table: bytes) -> None:
        raise MeshError("name table cannot be read")

    companion = Companion(refuse, lambda: None)
    response = discovery_pb2.DiscoveryResponse(
        type_url=types.NAME_TABLE, nonce="7", version_info="v2"
    )
    response.resources.add().value = b"x"
    answer = Sotw.read_request(companion.hear(Sotw, response))
    assert answer.error_detail.message == "name table cannot be read"
    assert answer.version_info == ""  # what is in force is not this version
