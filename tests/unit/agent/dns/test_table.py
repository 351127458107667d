# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from mesh_agent.dns.names import ROOT, parent, strip_suffix, to_wire
from mesh_agent.dns.table import HostRecord, Match, NameIndex, build_index

SEARCH = to_wire("corp.example")


def service(short: str, namespace: str, *addresses: str, **extra: object) -> HostRecord:
    host = f"{short}.{namespace}.svc.cluster.local"
    return HostRecord(host, addresses, "Kubernetes", short, namespace, **extra)  # type: ignore[arg-type]


def entry(host: str, *addresses: str) -> HostRecord:
    return HostRecord(host, addresses, "External")


def index(*records: HostRecord, namespace: str = "shop") -> NameIndex:
    return build_index(records, namespace=namespace)


def find(where: NameIndex, name: str, search: bytes | None = SEARCH) -> Match | None:
    return where.lookup(to_wire(name), search)


def test_a_service_answers_to_its_full_and_short_names() -> None:
    names = index(service("api", "shop", "10.0.0.1"))
    for name in ("api.shop.svc.cluster.local", "api.shop.svc", "api.shop", "api"):
        match = find(names, name)
        assert match is not None, name
        assert match.host.ipv4 == (b"\x0a\0\0\1",)
        assert match.alias is None


def test_the_bare_name_belongs_to_the_own_namespace() -> None:
    names = index(service("api", "shop", "10.0.0.1"), service("pay", "bank", "10.0.0.2"))
    assert find(names, "pay.bank")
    assert find(names, "pay") is None


def test_a_service_of_another_domain_has_no_short_names() -> None:
    record = HostRecord("api.shop.svc.clusterset.local", ("10.0.0.1",), "Kubernetes", "api", "shop")
    assert find(index(record), "api.shop.svc.clusterset.local")
    assert find(index(record), "api.shop") is None


def test_alternative_hosts_count_for_services_only() -> None:
    assert find(index(service("api", "shop", "10.0.0.1", alternatives=("a.b",))), "a.b")
    external = HostRecord("x.example", ("10.0.0.1",), "External", alternatives=("a.b",))
    assert find(index(external), "a.b") is None


def test_a_full_name_wins_over_a_short_one() -> None:
    names = index(service("api", "shop", "10.0.0.1"), entry("api.shop", "10.0.0.9"))
    match = find(names, "api.shop")
    assert match and match.host.ipv4 == (b"\x0a\0\0\x09",)


def test_the_order_of_the_table_makes_no_difference() -> None:
    records = [
        service("a", "shop", "10.0.0.1", alternatives=("x",)),
        service("b", "shop", "10.0.0.2", alternatives=("x",)),
    ]
    assert index(*records).names == index(*reversed(records)).names


def test_the_search_domain_makes_an_alias() -> None:
    names = index(service("api", "shop", "10.0.0.1"))
    for name in ("api", "api.shop", "api.shop.svc.cluster.local"):
        match = find(names, f"{name}.corp.example")
        assert match is not None, name
        assert match.alias == to_wire("api.shop.svc.cluster.local")
    assert find(names, "api.other.example") is None
    assert find(names, "api.corp.example", search=None) is None
    assert find(names, "api.corp.example.corp.example") is None


def test_a_name_of_its_own_is_no_alias() -> None:
    names = index(service("api", "shop", "10.0.0.1"), entry("api.corp.example", "10.0.0.9"))
    match = find(names, "api.corp.example")
    assert match and match.alias is None
    assert match.host.ipv4 == (b"\x0a\0\0\x09",)


def test_wildcards_match_below_the_apex_and_the_closest_wins() -> None:
    names = index(entry("*.example.com", "10.0.0.1"), entry("*.deep.example.com", "10.0.0.2"))
    assert find(names, "example.com") is None
    for name, last in (
        ("a.example.com", 1),
        ("a.b.example.com", 1),
        ("a.deep.example.com", 2),
        ("deep.example.com", 1),
    ):
        match = find(names, name)
        assert match is not None, name
        assert match.host.ipv4[0][-1] == last, name
    assert find(names, "a.notexample.com") is None


def test_a_wildcard_with_the_search_domain_is_an_alias_of_what_was_asked() -> None:
    match = find(index(entry("*.example.com", "10.0.0.1")), "a.example.com.corp.example")
    assert match and match.alias == to_wire("a.example.com")


def test_an_exact_name_wins_over_a_wildcard() -> None:
    names = index(entry("*.example.com", "10.0.0.1"), entry("a.example.com", "10.0.0.2"))
    match = find(names, "a.example.com")
    assert match and match.host.ipv4[0][-1] == 2


def test_addresses_of_both_families_and_nonsense() -> None:
    names = index(service("api", "shop", "10.0.0.1", "fd00::1", "nonsense", "10.0.0.1"))
    match = find(names, "api")
    assert match and (len(match.host.ipv4), len(match.host.ipv6)) == (1, 1)
    assert find(index(service("api", "shop", "nonsense")), "api") is None
    assert index(service("api", "shop")).hosts == 0


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "ü.example", ".".join(["x" * 60] * 5)])
def test_names_that_cannot_stand_in_dns_are_named(host: str) -> None:
    names = index(entry(host, "10.0.0.1"), entry("good.example", "10.0.0.2"))
    assert names.skipped == (host,)
    assert names.hosts == 1


def test_kubernetes_names_with_a_trailing_dot_are_left_out() -> None:
    assert index(HostRecord("a.b.", ("10.0.0.1",), "Kubernetes", "a", "b")).hosts == 0
    assert find(index(entry("a.b.", "10.0.0.1")), "a.b")


def test_pointers_name_services_before_others() -> None:
    names = index(
        entry("aaa.example", "10.0.0.1"),
        service("api", "shop", "10.0.0.1", "fd00::1"),
        entry("*.wild.example", "10.0.0.2"),
    )
    service_name = to_wire("api.shop.svc.cluster.local")
    assert names.pointers[to_wire("1.0.0.10.in-addr.arpa")] == service_name
    nibbles = ".".join(reversed("fd000000000000000000000000000001"))
    assert names.pointers[to_wire(f"{nibbles}.ip6.arpa")] == service_name
    assert to_wire("2.0.0.10.in-addr.arpa") not in names.pointers


def test_wire_names() -> None:
    assert to_wire("Api.Shop.") == b"\x03api\x04shop\0"
    assert to_wire("") == to_wire(".") == ROOT
    assert parent(to_wire("a.b")) == to_wire("b")
    assert strip_suffix(to_wire("a.b.c"), to_wire("b.c")) == to_wire("a")
    assert strip_suffix(to_wire("b.c"), to_wire("b.c")) is None
    # The suffix's bytes are there, but not where a label begins.
    assert strip_suffix(b"\x05a\x01b\x01c\0", b"\x01b\x01c\0") is None
    long = ".".join(["x" * 63] * 3 + ["x" * 61])
    assert len(to_wire(long)) == 255
