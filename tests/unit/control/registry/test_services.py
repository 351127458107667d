# SPDX-License-Identifier: Apache-2.0
"""Documents and workloads to services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from mesh_control.model import Document, Protocol, Resolution, Service, ServicePort, Workload
from mesh_control.registry.build import build_services, given_addresses, hosts_without_address
from mesh_control.registry.endpoints import Surroundings
from mesh_control.registry.members import Member

VIP = "240.240.0.7"


def document(
    kind: str, spec: str, name: str = "api", created: int = 0, labels: Any = None
) -> Document:
    data: dict[str, Any] = yaml.safe_load(spec)
    return Document(kind, name, "shop", labels or {}, {}, data, "x.yaml[0]", created)


def member(name: str, *, named: dict[str, int] | None = None, **fields: Any) -> Member:
    values: dict[str, Any] = {
        "name": name,
        "namespace": "shop",
        "service_account": "api",
        "address": f"10.0.0.{name}",
        "network": "n1",
        "labels": {"app": "api"},
    }
    workload = Workload(**(values | fields))
    return Member(workload, bool(workload.service_account), named or {})


def build(
    documents: Iterable[Document], members: Iterable[Member] = (), groups: Iterable[Document] = ()
) -> tuple[dict[str, Service], list[str]]:
    hosts = hosts_without_address(documents, "cluster.local")
    addresses = dict.fromkeys(hosts, VIP)
    around = Surroundings.of("td", "cluster.local", addresses, members, groups)
    services, problems = build_services(documents, around)
    return services, [str(problem) for problem in problems]


def one(spec: str, *members: Member, kind: str = "Service") -> Service:
    services, problems = build([document(kind, spec)], members)
    assert not problems
    (service,) = services.values()
    return service


SELECTING = "{selector: {app: api}, ports: [{name: http, port: 80, targetPort: 8080}]}"
NAMED = "{selector: {app: api}, ports: [{name: x, port: 80, targetPort: web}]}"
ENTRY = "hosts: [Pay.example.org], ports: [{number: 443, name: tls, targetPort: 8443}]"


def targets(service: Service) -> list[tuple[str, int]]:
    return [(endpoint.address, endpoint.port) for endpoint in service.endpoints]


def test_a_service_selects_workloads_of_its_namespace_by_all_labels() -> None:
    service = one(
        SELECTING,
        member("1"),
        member("2", labels={"app": "api", "version": "v2"}),
        member("3", labels={"app": "web"}),
        member("4", namespace="other"),
        member("5", address="api.example.org"),
    )
    assert service.host == "api.shop.svc.cluster.local"
    assert (service.name, service.namespace, service.registry) == ("api", "shop", "Kubernetes")
    assert service.addresses == (VIP,)
    assert service.ports == (ServicePort("http", 80, Protocol.HTTP, 8080),)
    assert service.resolution is Resolution.STATIC
    assert targets(service) == [("10.0.0.1", 8080), ("10.0.0.2", 8080)]
    assert service.service_accounts == ("spiffe://td/ns/shop/sa/api",)
    endpoint = service.endpoints[1]
    assert endpoint.labels == {"app": "api", "version": "v2"}
    assert (endpoint.workload, endpoint.network, endpoint.service_port) == ("2", "n1", "http")
    assert endpoint.mutual_tls


def test_unhealthy_workloads_are_marked_and_their_accounts_stay() -> None:
    service = one(SELECTING, member("1", healthy=False))
    assert [endpoint.healthy for endpoint in service.endpoints] == [False]
    assert service.service_accounts == ("spiffe://td/ns/shop/sa/api",)


def test_a_service_without_selector_selects_nothing() -> None:
    service = one("{ports: [{port: 80}]}", member("1"))
    assert service.endpoints == ()
    assert service.ports == (ServicePort("", 80, Protocol.AUTO, 80),)


def test_accounts_of_groups_are_known_before_their_hosts_are() -> None:
    group = document(
        "WorkloadGroup",
        "{metadata: {labels: {app: api}}, template: {serviceAccount: late}}",
        name="g",
    )
    other = document("WorkloadGroup", "{template: {serviceAccount: no}}", name="h")
    services, _ = build([document("Service", SELECTING)], (), (group, other))
    (service,) = services.values()
    assert service.service_accounts == ("spiffe://td/ns/shop/sa/late",)


def test_target_ports_by_name_come_from_the_entry_or_the_host() -> None:
    service = one(
        NAMED,
        member("1", ports={"web": 8081}, named={"web": 1}),
        member("2", named={"web": 8082}),
    )
    assert targets(service) == [("10.0.0.1", 8081), ("10.0.0.2", 8082)]
    assert service.ports[0].target == 8081


def test_a_workload_without_the_named_port_is_no_endpoint_and_that_is_said() -> None:
    found = [member("1", ports={"other": 1}), member("2", ports={"web": 2})]
    services, problems = build([document("Service", NAMED)], found)
    (service,) = services.values()
    assert targets(service) == [("10.0.0.2", 2)]
    assert problems == [
        "x.yaml[0] Service shop/api: spec.ports[0].targetPort: workload shop/1 has no port 'web' "
        "(it names: other); it is no endpoint"
    ]


def test_a_named_target_is_known_from_the_group_before_a_host_is() -> None:
    group = document("WorkloadGroup", "{template: {labels: {app: api}, ports: {web: 9}}}", "g")
    services, _ = build([document("Service", NAMED)], (), [group])
    assert services["api.shop.svc.cluster.local"].ports[0].target == 9


def test_the_ports_of_an_entry_win_over_a_number_by_the_service_ports_name() -> None:
    service = one(SELECTING, member("1", ports={"http": 9090}), member("2", named={"http": 1}))
    assert targets(service) == [("10.0.0.1", 9090), ("10.0.0.2", 8080)]


def test_given_addresses_are_kept_and_a_headless_service_has_none() -> None:
    assert one("{clusterIP: 10.96.0.1, ports: [{port: 80}]}").addresses == ("10.96.0.1",)
    both = "{clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, fd00::1], ports: [{port: 80}]}"
    assert one(both).addresses == ("10.96.0.1", "fd00::1")
    assert one("{clusterIP: None, ports: [{port: 80}]}").addresses == ()
    assert one("{clusterIPs: [None], ports: [{port: 80}]}").addresses == ()
    assert list(given_addresses([document("Service", both)])) == ["10.96.0.1", "fd00::1"]


def test_a_static_entry() -> None:
    service = one(
        "{" + ENTRY + ", resolution: STATIC, location: MESH_INTERNAL, endpoints: ["
        "{address: 10.1.0.1, network: n2, serviceAccount: pay, weight: 3, locality: eu/a},"
        "{address: 10.1.0.2, ports: {tls: 9443}},"
        "{address: 10.1.0.3, labels: {security.istio.io/tlsMode: istio}},"
        "{address: 10.1.0.4, serviceAccount: x, labels: {security.istio.io/tlsMode: disabled}}],"
        "subjectAltNames: [pay.example.org]}",
        kind="ServiceEntry",
    )
    assert service.host == "pay.example.org"
    assert (service.registry, service.external) == ("External", False)
    assert service.addresses == (VIP,)
    assert service.ports == (ServicePort("tls", 443, Protocol.TLS, 8443),)
    assert targets(service)[:2] == [("10.1.0.1", 8443), ("10.1.0.2", 9443)]
    assert [endpoint.mutual_tls for endpoint in service.endpoints] == [True, False, True, False]
    first = service.endpoints[0]
    assert (first.network, first.weight, first.locality) == ("n2", 3, "eu/a")
    assert service.service_accounts == (
        "pay.example.org",
        "spiffe://td/ns/shop/sa/pay",
        "spiffe://td/ns/shop/sa/x",
    )


def test_an_external_entry_has_no_mutual_tls() -> None:
    service = one(
        "{" + ENTRY + ", resolution: STATIC, endpoints: [{address: 10.1.0.1, serviceAccount: x}]}",
        kind="ServiceEntry",
    )
    assert service.external
    assert not service.endpoints[0].mutual_tls


def test_a_dns_entry_without_endpoints_is_its_own() -> None:
    service = one("{" + ENTRY + ", resolution: DNS}", kind="ServiceEntry")
    assert targets(service) == [("pay.example.org", 8443)]
    assert service.addresses == (VIP,)


def test_an_entry_without_resolution_has_neither_endpoints_nor_an_address() -> None:
    service = one("{" + ENTRY + "}", kind="ServiceEntry")
    assert (service.resolution, service.endpoints) == (Resolution.NONE, ())
    assert service.addresses == ()


def test_an_entry_selects_workloads() -> None:
    service = one(
        "{" + ENTRY + ", resolution: STATIC, location: MESH_INTERNAL, "
        "workloadSelector: {labels: {app: api}}}",
        member("1", ports={"tls": 1443}),
        member("2"),
        member("3", healthy=False),
        kind="ServiceEntry",
    )
    assert targets(service) == [("10.0.0.1", 1443), ("10.0.0.2", 8443), ("10.0.0.3", 8443)]
    assert [endpoint.healthy for endpoint in service.endpoints] == [True, True, False]
    assert service.service_accounts == ("spiffe://td/ns/shop/sa/api",)


def test_no_address_for_wildcards_nor_where_it_is_not_wanted() -> None:
    wild = document("ServiceEntry", "{hosts: ['*.a.org', b.org], resolution: STATIC}")
    label = {"networking.istio.io/enable-autoallocate-ip": "false"}
    unwanted = document("ServiceEntry", "{hosts: [c.org], resolution: STATIC}", labels=label)
    given = document("ServiceEntry", "{hosts: [d.org], resolution: DNS, addresses: [10.0.0.9]}")
    documents = [wild, unwanted, given]
    assert list(hosts_without_address(documents, "cluster.local")) == ["b.org"]
    assert list(given_addresses(documents)) == ["10.0.0.9"]


def test_of_equal_hosts_kubernetes_and_then_the_older_one_wins() -> None:
    host = "api.shop.svc.cluster.local"
    entry = document("ServiceEntry", f"{{hosts: [{host}, x.org], addresses: [10.0.0.1]}}", "z", 0)
    later = document("ServiceEntry", "{hosts: [x.org], addresses: [10.0.0.2]}", "b", 1)
    service = document("Service", SELECTING, "api", 2)
    services, _ = build([service, later, entry])
    assert services[host].registry == "Kubernetes"
    assert services["x.org"].addresses == ("10.0.0.1",)


def test_one_endpoint_for_an_address_that_two_workloads_have() -> None:
    service = one(
        SELECTING,
        member("1"),
        member("2", address="10.0.0.1"),
        member("3", address="10.0.0.1", network="n2"),
    )
    assert [(e.workload, e.network) for e in service.endpoints] == [("1", "n1"), ("3", "n2")]
