# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.rpc import status_pb2

from mesh_core.wire import discovery
from mesh_core.wire.schema import declare

FULL: dict[str, Any] = {
    "Status": status_pb2.Status,
    "Node": base_pb2.Node,
    "Extension": base_pb2.Extension,
    "DiscoveryRequest": discovery_pb2.DiscoveryRequest,
    "DiscoveryResponse": discovery_pb2.DiscoveryResponse,
    "DeltaDiscoveryRequest": discovery_pb2.DeltaDiscoveryRequest,
    "DeltaDiscoveryResponse": discovery_pb2.DeltaDiscoveryResponse,
    "Resource": discovery_pb2.Resource,
    "Secret": secret_pb2.Secret,
    "TlsCertificate": common_pb2.TlsCertificate,
    "CertificateValidationContext": common_pb2.CertificateValidationContext,
    "DataSource": base_pb2.DataSource,
}


def test_every_discovery_message_is_compared() -> None:
    assert discovery.SCHEMA.keys() == FULL.keys()


@pytest.mark.parametrize("name", FULL)
def test_a_discovery_message_has_fields_of_the_whole_one(name: str) -> None:
    whole = FULL[name].DESCRIPTOR
    declared = declare("compared", discovery.SCHEMA)(name).DESCRIPTOR
    assert declared.fields
    for field in declared.fields:
        other = whole.fields_by_name[field.name]
        assert (field.number, field.type) == (other.number, other.type)
        assert field.is_repeated == other.is_repeated


def test_what_is_not_declared_passes_through() -> None:
    node = base_pb2.Node(id="sidecar~a", user_agent_name="envoy", locality={"region": "r"})
    whole = discovery_pb2.DeltaDiscoveryRequest(
        node=node, type_url="t", initial_resource_versions={"a": "1"}
    )
    seen = discovery.DeltaDiscoveryRequest.FromString(whole.SerializeToString())
    seen.response_nonce = "7"
    whole.response_nonce = "7"
    assert dict(seen.initial_resource_versions) == {"a": "1"}
    assert discovery_pb2.DeltaDiscoveryRequest.FromString(seen.SerializeToString()) == whole


def test_maps_lists_and_structs_are_declared() -> None:
    message = declare(
        "kinds", {"A": ("by_name 1 {}B", "all 2 *B", "any 3 Struct"), "B": ("n 1 int32",)}
    )
    one = message("A")(by_name={"x": {"n": 1}}, all=[{"n": 2}, {"n": 3}], any={"k": "v"})
    again = message("A").FromString(one.SerializeToString())
    assert again.by_name["x"].n == 1
    assert [each.n for each in again.all] == [2, 3]
    assert again.any["k"] == "v"
    with pytest.raises(KeyError):
        message("C")
