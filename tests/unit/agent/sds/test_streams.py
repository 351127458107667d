# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2

from mesh_agent.sds.streams import DeltaStream, SotwStream
from mesh_core.wire import types


class Secrets:
    def __init__(self, **values: bytes) -> None:
        self.values = values
        self.refused: list[tuple[str, str]] = []

    def get(self, name: str) -> bytes | None:
        return self.values.get(name)

    def refuse(self, name: str, message: str) -> None:
        self.refused.append((name, message))


def sotw(secrets: Secrets) -> SotwStream:
    return SotwStream(secrets.get, secrets.refuse)


def delta(secrets: Secrets) -> DeltaStream:
    return DeltaStream(secrets.get, secrets.refuse)


def ask(*names: str, nonce: str = "", error: str | None = None) -> bytes:
    request = discovery_pb2.DiscoveryRequest(
        type_url=types.SECRET, resource_names=names, response_nonce=nonce
    )
    if error:
        request.error_detail.message = error
    return bytes(request.SerializeToString())


def ask_delta(
    *names: str, drop: tuple[str, ...] = (), nonce: str = "", error: str | None = None
) -> bytes:
    request = discovery_pb2.DeltaDiscoveryRequest(
        type_url=types.SECRET,
        resource_names_subscribe=names,
        resource_names_unsubscribe=drop,
        response_nonce=nonce,
    )
    if error:
        request.error_detail.message = error
    return bytes(request.SerializeToString())


def read(response: bytes | None) -> Any:
    assert response is not None
    return discovery_pb2.DiscoveryResponse.FromString(response)


def read_delta(response: bytes | None) -> Any:
    assert response is not None
    return discovery_pb2.DeltaDiscoveryResponse.FromString(response)


def test_state_of_the_world_answers_once_and_again_when_it_changes() -> None:
    secrets = Secrets(default=b"one", ROOTCA=b"root")
    stream = sotw(secrets)
    first = read(stream.request(ask("default")))
    assert [r.value for r in first.resources] == [b"one"]
    assert first.resources[0].type_url == first.type_url == types.SECRET
    assert stream.request(ask("default", nonce=first.nonce)) is None
    assert stream.changed() is None
    secrets.values["default"] = b"two"
    second = read(stream.changed())
    assert [r.value for r in second.resources] == [b"two"]
    assert second.nonce != first.nonce
    assert second.version_info != first.version_info


def test_state_of_the_world_holds_all_that_is_asked_for() -> None:
    secrets = Secrets(default=b"one", ROOTCA=b"root")
    stream = sotw(secrets)
    first = read(stream.request(ask("default")))
    both = read(stream.request(ask("default", "ROOTCA", nonce=first.nonce)))
    assert sorted(r.value for r in both.resources) == [b"one", b"root"]
    only = stream.request(ask("ROOTCA", nonce=both.nonce))
    assert only is None
    secrets.values["default"] = b"two"
    assert stream.changed() is None  # no longer asked for


def test_an_answer_to_an_overtaken_response_changes_nothing() -> None:
    secrets = Secrets(default=b"one")
    stream = sotw(secrets)
    first = read(stream.request(ask("default")))
    secrets.values["default"] = b"two"
    stream.changed()
    assert stream.request(ask(nonce=first.nonce)) is None
    secrets.values["default"] = b"three"
    assert stream.changed() is not None  # still asked for


@pytest.mark.parametrize("kind", ["sotw", "delta"])
def test_before_there_is_a_certificate_it_waits(kind: str) -> None:
    secrets = Secrets()
    stream = sotw(secrets) if kind == "sotw" else delta(secrets)
    assert stream.request(ask("default") if kind == "sotw" else ask_delta("default")) is None
    assert stream.changed() is None
    secrets.values["default"] = b"one"
    assert b"one" in (stream.changed() or b"")


def test_refusals_are_told() -> None:
    secrets = Secrets(default=b"one")
    stream = sotw(secrets)
    nonce = read(stream.request(ask("default"))).nonce
    assert stream.request(ask("default", nonce=nonce, error="no key")) is None
    other = delta(secrets)
    nonce = read_delta(other.request(ask_delta("default"))).nonce
    assert other.request(ask_delta(nonce=nonce, error="no cert")) is None
    assert secrets.refused == [("default", "no key"), ("default", "no cert")]


def test_delta_sends_what_is_new_only() -> None:
    secrets = Secrets(default=b"one", ROOTCA=b"root")
    stream = delta(secrets)
    both = read_delta(stream.request(ask_delta("default", "ROOTCA")))
    assert {r.name: r.resource.value for r in both.resources} == {
        "default": b"one",
        "ROOTCA": b"root",
    }
    assert both.resources[0].resource.type_url == types.SECRET
    assert stream.request(ask_delta(nonce=both.nonce)) is None
    secrets.values["default"] = b"two"
    (changed,) = read_delta(stream.changed()).resources
    assert (changed.name, changed.resource.value) == ("default", b"two")
    assert stream.request(ask_delta(drop=("default",))) is None
    secrets.values["default"] = b"three"
    assert stream.changed() is None
    (again,) = read_delta(stream.request(ask_delta("default"))).resources
    assert again.resource.value == b"three"
