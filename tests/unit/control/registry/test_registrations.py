# SPDX-License-Identifier: Apache-2.0
"""Registration, grace periods and health, as istiod does them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import yaml

from mesh_control.model import Document, Proxy
from mesh_control.registry.errors import NodeError, RegistrationError
from mesh_control.registry.proxy import proxy_from_node
from mesh_control.registry.registrations import Registrations
from mesh_control.registry.stored import from_object
from mesh_core.identity import SpiffeId

API = SpiffeId("cluster.local", "shop", "api")


def group(spec: str, name: str = "api", namespace: str = "shop") -> Document:
    data: dict[str, Any] = yaml.safe_load(spec)
    return Document("WorkloadGroup", name, namespace, {}, {}, data, "shop.yaml[3]")


def host(address: str = "10.0.0.1", wanted: str = "api", **metadata: object) -> Proxy:
    values = {"AUTO_REGISTER_GROUP": wanted, "NETWORK": "n1", "NAME": "api-1", **metadata}
    node_id = f"sidecar~{address}~api-1.shop~shop.svc.cluster.local"
    return proxy_from_node(node_id, {k: v for k, v in values.items() if v is not None})


GROUP = group("{metadata: {labels: {app: api}}, template: {serviceAccount: api}}")
PROBED = group("{template: {serviceAccount: api}, probe: {tcpSocket: {port: 1}}}")


@pytest.fixture
def registrations(clock: Any) -> Registrations:
    made = Registrations(clock, grace=10, restart_grace=60, name="control")
    made.set_groups([GROUP])
    return made


def names(registrations: Registrations) -> list[str]:
    return [member.key for member in registrations.members()]


def test_a_host_becomes_a_workload(registrations: Registrations) -> None:
    member, changed = registrations.register(host(), API, "c1")
    assert changed
    workload = member.workload
    assert member.key == "shop/api-10.0.0.1-n1"
    assert (workload.address, workload.network, workload.group) == ("10.0.0.1", "n1", "api")
    assert (workload.service_account, workload.labels) == ("api", {"app": "api"})
    assert workload.healthy
    assert member.mutual_tls
    assert registrations.members() == [member]


def test_labels_template_then_group_then_host(registrations: Registrations) -> None:
    registrations.set_groups(
        [
            group(
                "{metadata: {labels: {a: group, b: group}},"
                " template: {labels: {a: template, b: template, c: template}, locality: eu/a,"
                " network: n9, ports: {http: 8080}, weight: 4}}"
            )
        ]
    )
    proxy = host(
        LABELS={"a": "host", "istio-locality": "us.b"}, POD_PORTS='[{"name":"x","containerPort":1}]'
    )
    member, _ = registrations.register(proxy, API, "c1")
    workload = member.workload
    assert workload.labels == {"a": "host", "b": "group", "c": "template"}
    assert (workload.locality, workload.network, workload.weight) == ("us/b", "n1", 4)
    assert (workload.ports, member.named_ports) == ({"http": 8080}, {"x": 1})
    silent, _ = registrations.register(host("10.0.0.2", NETWORK=None), API, "c2")
    assert silent.key == "shop/api-10.0.0.2"
    assert (silent.workload.network, silent.workload.locality) == ("n9", "eu/a")
    assert silent.workload.service_account == "api"


@pytest.mark.parametrize(
    ("address", "network", "expected"),
    [
        ("fd31:1::21", "network-1", "api-fd31-1--21-network-1"),
        ("10.0.0.1", None, "api-10.0.0.1"),
        ("10.0.0.1", "n" * 300, "n" * 253),
    ],
)
def test_names(
    registrations: Registrations, address: str, network: str | None, expected: str
) -> None:
    member, _ = registrations.register(host(address, NETWORK=network), API, "c1")
    assert member.workload.name == expected


def refused(
    registrations: Registrations, proxy: Proxy, identity: SpiffeId = API
) -> tuple[str, str]:
    with pytest.raises(RegistrationError) as error:
        registrations.register(proxy, identity, "c1")
    assert names(registrations) == []
    return error.value.status, str(error.value)


def test_an_unknown_group(registrations: Registrations) -> None:
    assert refused(registrations, host(wanted="apl")) == (
        "FAILED_PRECONDITION",
        "cannot find WorkloadGroup shop/apl; did you mean api?",
    )
    registrations.set_groups([group("{template: {}}", namespace="other")])
    assert refused(registrations, host()) == (
        "FAILED_PRECONDITION",
        "cannot find WorkloadGroup shop/api",
    )


def test_a_certificate_of_another_account_or_namespace(registrations: Registrations) -> None:
    assert refused(registrations, host(), SpiffeId("cluster.local", "shop", "client")) == (
        "PERMISSION_DENIED",
        'registration of WorkloadEntry service account mismatch: "client" vs "api" (certificate '
        "of spiffe://cluster.local/ns/shop/sa/client, WorkloadGroup shop/api)",
    )
    status, message = refused(registrations, host(), SpiffeId("cluster.local", "vm", "api"))
    assert status == "PERMISSION_DENIED"
    assert message.startswith('registration of WorkloadEntry namespace mismatch: "vm" vs "shop"')


def test_a_node_that_asks_for_nothing_or_for_no_name(registrations: Registrations) -> None:
    status, message = refused(registrations, host(wanted=""))
    assert (status, message.split(": ")[1]) == (
        "INVALID_ARGUMENT",
        "the node names no WorkloadGroup (metadata AUTO_REGISTER_GROUP)",
    )
    status, message = refused(registrations, host(NETWORK="Net 1"))
    assert status == "INVALID_ARGUMENT"
    assert "found 'api-10.0.0.1-Net 1' (group 'api', network 'Net 1')" in message
    with pytest.raises(NodeError):
        registrations.register(host(POD_PORTS="{"), API, "c1")
    assert names(registrations) == []


def test_nobody_is_registered_before_the_objects_are_read(clock: Any) -> None:
    registrations = Registrations(clock, grace=10, restart_grace=60, name="control")
    assert refused(registrations, host()) == ("UNAVAILABLE", "the objects are not read yet")


def test_a_disconnected_host_stays_for_the_grace_period(
    registrations: Registrations, clock: Any
) -> None:
    registrations.register(host(), API, "c1")
    registrations.disconnected("c1")
    clock.pass_time(9.9)
    assert not registrations.expire()
    assert names(registrations) == ["shop/api-10.0.0.1-n1"]
    clock.pass_time(0.1)
    assert registrations.expire()
    assert names(registrations) == []


def test_a_host_that_returns_in_time_was_never_away(
    registrations: Registrations, clock: Any
) -> None:
    registrations.register(host(), API, "c1")
    registrations.disconnected("c1")
    clock.pass_time(9)
    _, changed = registrations.register(host(), API, "c2")
    assert not changed
    clock.pass_time(100)
    assert not registrations.expire()
    assert names(registrations) == ["shop/api-10.0.0.1-n1"]


def test_the_last_of_several_connections_counts(registrations: Registrations, clock: Any) -> None:
    registrations.register(host(), API, "c1")
    registrations.register(host(), API, "c2")
    registrations.register(host(), API, "c2")
    registrations.disconnected("c1")
    registrations.disconnected("c1")
    registrations.disconnected("never seen")
    clock.pass_time(100)
    assert not registrations.expire()
    registrations.disconnected("c2")
    clock.pass_time(10)
    assert registrations.expire()


def test_a_connection_that_registers_as_another_workload_leaves_the_first(
    registrations: Registrations, clock: Any
) -> None:
    registrations.register(host("10.0.0.1"), API, "c1")
    registrations.register(host("10.0.0.2"), API, "c1")
    clock.pass_time(10)
    registrations.expire()
    assert names(registrations) == ["shop/api-10.0.0.2-n1"]


def test_a_probed_workload_is_unhealthy_until_it_says_otherwise(
    registrations: Registrations,
) -> None:
    registrations.set_groups([PROBED])
    member, _ = registrations.register(host(), API, "c1")
    assert not member.workload.healthy
    assert registrations.report("c1", healthy=True, message="")
    assert registrations.members()[0].workload.healthy
    assert not registrations.report("c1", healthy=True, message="")
    assert registrations.report("c1", healthy=False, message="connection refused")
    assert not registrations.members()[0].workload.healthy


def test_a_host_that_probes_on_its_own_account(registrations: Registrations) -> None:
    proxy = host(PROXY_CONFIG={"readinessProbe": {"tcpSocket": {"port": 1}}})
    member, _ = registrations.register(proxy, API, "c1")
    assert not member.workload.healthy


def test_health_survives_a_reconnect_and_reports_of_others_are_ignored(
    registrations: Registrations,
) -> None:
    registrations.set_groups([PROBED])
    registrations.register(host(), API, "c1")
    registrations.report("c1", healthy=True, message="")
    registrations.disconnected("c1")
    assert not registrations.report("c1", healthy=False, message="late")
    member, _ = registrations.register(host(), API, "c2")
    assert member.workload.healthy
    assert not registrations.report("router", healthy=False, message="")


def test_entries_follow_their_group(registrations: Registrations) -> None:
    registrations.register(host(), API, "c1")
    registrations.set_groups([group("{template: {labels: {tier: new}}}")])
    assert registrations.members()[0].workload.labels == {"tier": "new"}
    registrations.set_groups([])
    assert registrations.members() == []
    registrations.set_groups([GROUP])
    assert names(registrations) == ["shop/api-10.0.0.1-n1"]


def test_an_entry_without_connection_goes_with_its_group(
    registrations: Registrations, clock: Any
) -> None:
    registrations.register(host(), API, "c1")
    registrations.take_unsaved()
    registrations.disconnected("c1")
    registrations.set_groups([])
    registrations.set_groups([GROUP])
    assert registrations.members() == []
    assert registrations.take_unsaved() == {"shop/api-10.0.0.1-n1": None}


def test_a_groups_new_account_holds_for_new_connections(registrations: Registrations) -> None:
    registrations.register(host(), API, "c1")
    registrations.set_groups([group("{template: {serviceAccount: api2}}")])
    assert registrations.members()[0].workload.service_account == "api"
    with pytest.raises(RegistrationError, match='"api" vs "api2"'):
        registrations.register(host(), API, "c2")


def test_a_label_that_hides_the_groups_is_logged(
    registrations: Registrations, caplog: pytest.LogCaptureFixture
) -> None:
    registrations.register(host(LABELS={"app": "apo", "version": "v1"}), API, "c1")
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == [
        "shop/api-10.0.0.1-n1: label app=apo of the host hides app=api of WorkloadGroup api "
        "(shop.yaml[3])"
    ]


def test_an_entry_is_written_as_istiod_would(registrations: Registrations, clock: Any) -> None:
    registrations.set_groups([PROBED])
    registrations.register(host(LABELS={"app": "api"}), API, "c1")
    registrations.report("c1", healthy=False, message="refused")
    (entry,) = registrations.take_unsaved().values()
    assert entry is not None
    annotations = entry["metadata"].pop("annotations")
    node = annotations.pop("hybrid.mesh/node")
    assert '"labels": {"app": "api"}' in node
    assert annotations == {
        "istio.io/autoRegistrationGroup": "api",
        "istio.io/workloadController": "control",
        "istio.io/connectedAt": "2026-01-01T00:00:00Z",
        "proxy.istio.io/health-checks-enabled": "true",
    }
    assert entry == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {"name": "api-10.0.0.1-n1", "namespace": "shop", "labels": {"app": "api"}},
        "spec": {
            "address": "10.0.0.1",
            "labels": {"app": "api"},
            "network": "n1",
            "serviceAccount": "api",
            "weight": 1,
        },
        "status": {"conditions": [{"type": "Healthy", "status": "False", "message": "refused"}]},
    }
    assert registrations.take_unsaved() == {}
    clock.pass_time(5)
    registrations.disconnected("c1")
    (entry,) = registrations.take_unsaved().values()
    assert entry is not None
    annotations = entry["metadata"]["annotations"]
    assert annotations["istio.io/disconnectedAt"] == "2026-01-01T00:00:05Z"
    assert "istio.io/connectedAt" not in annotations


def test_what_was_not_saved_is_offered_again(registrations: Registrations) -> None:
    registrations.register(host(), API, "c1")
    first = registrations.take_unsaved()
    registrations.not_saved(first)
    assert registrations.take_unsaved() == first


def restarted(registrations: Registrations, clock: Any) -> Registrations:
    entries = registrations.take_unsaved().values()
    later = Registrations(clock, grace=10, restart_grace=60, name="control")
    later.restore(from_object(entry) for entry in entries if entry)
    return later


def test_workloads_survive_a_restart_as_they_were(registrations: Registrations, clock: Any) -> None:
    registrations.set_groups([PROBED])
    proxy = host(LABELS={"a": "b"}, POD_PORTS='[{"name":"x","containerPort":1}]')
    registrations.register(proxy, API, "c1")
    registrations.report("c1", healthy=True, message="fine")
    before = registrations.members()
    later = restarted(registrations, clock)
    later.set_groups([PROBED])
    assert later.members() == before
    assert later.all()[0].message == "fine"


def test_who_does_not_return_after_a_restart_goes_later(
    registrations: Registrations, clock: Any
) -> None:
    registrations.register(host("10.0.0.1"), API, "c1")
    registrations.register(host("10.0.0.2"), API, "c2")
    registrations.disconnected("c2")
    later = restarted(registrations, clock)
    later.set_groups([GROUP])
    clock.pass_time(59)
    assert not later.expire()
    later.register(host("10.0.0.1"), API, "c1")
    clock.pass_time(1)
    assert later.expire()
    assert names(later) == ["shop/api-10.0.0.1-n1"]


def test_a_restart_does_not_freeze_the_group(registrations: Registrations, clock: Any) -> None:
    registrations.register(host(LABELS={"own": "x"}), API, "c1")
    later = restarted(registrations, clock)
    later.set_groups([group("{metadata: {labels: {app: new}}, template: {}}")])
    assert later.members()[0].workload.labels == {"app": "new", "own": "x"}
