# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory and registry side by side."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import reconcile
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.liveness import Evidence
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.reconcile import Host, Selector
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.workloads import Workload

SELECTORS = [Selector("Service web", "ns", {"app": "web"})]


def host(number: int, **changes: Any) -> Host:
    values: dict[str, Any] = {
        "name": f"h{number}",
        "namespace": "ns",
        "group": "web",
        "address": f"10.0.0.{number}",
        "network": "net-1",
        "labels": {"app": "web"},
        "service_account": "web",
    }
    return Host(**{**values, **changes})


def entry(number: int, **changes: Any) -> Workload:
    values: dict[str, Any] = {
        "name": f"web-{number}",
        "namespace": "ns",
        "address": f"10.0.0.{number}",
        "network": "net-1",
        "service_account": "web",
        "group": "web",
        "labels": {"app": "web", "extra": "1"},
        "health": "unchecked",
        "connected_at": "2026-11-21T11:59:00Z",
        "ports": {"http": 80},
    }
    return Workload(**{**values, **changes})


def compare(
    hosts: list[Host], entries: list[Workload], made: bool = False, **evidence: Any
) -> reconcile.Report:
    return reconcile.compare(hosts, entries, SELECTORS, Evidence(**evidence), lambda _entry: made)


def test_what_agrees_is_consistent() -> None:
    assert compare([host(1), host(2)], [entry(1), entry(2)]).consistent
    assert compare([], []).consistent


def test_a_host_without_an_entry() -> None:
    report = compare([host(1), host(2)], [entry(1)])
    assert [h.name for h in report.unregistered] == ["h2"]
    elsewhere = compare([host(1)], [entry(1, namespace="other")])
    assert [h.name for h in elsewhere.unregistered] == ["h1"]


def test_an_entry_without_a_host_goes_only_with_proof() -> None:
    kept = compare([host(1)], [entry(1), entry(2)])
    assert [(s.entry.name, s.proof) for s in kept.superfluous] == [("web-2", None)]
    assert "nothing proves" in kept.superfluous[0].kept
    proved = compare([host(1)], [entry(1), entry(2)], connected=frozenset())
    assert [(s.entry.name, bool(s.proof)) for s in proved.superfluous] == [("web-2", True)]


def test_an_entry_of_a_host_of_the_inventory_is_never_superfluous() -> None:
    assert compare([host(1)], [entry(1)], connected=frozenset()).superfluous == []
    made = entry(1, group="")
    assert compare([host(1)], [made], made=True, connected=frozenset()).superfluous == []


@pytest.mark.parametrize(
    "stranger",
    [
        entry(9, group="another"),
        entry(9, namespace="other"),
        entry(9, group=""),
    ],
)
def test_what_is_not_ours_is_not_judged(stranger: Workload) -> None:
    report = compare([host(1)], [entry(1), stranger], connected=frozenset())
    assert report.superfluous == []


def test_an_entry_of_the_set_goes_unless_it_is_healthy() -> None:
    gone = compare([host(1)], [entry(1), entry(2, group="")], made=True)
    assert gone.superfluous[0].proof
    healthy = compare([host(1)], [entry(1), entry(2, group="", health="healthy")], made=True)
    assert healthy.superfluous[0].proof is None


def test_an_entry_in_a_group_that_its_host_left_is_a_duplicate_and_superfluous() -> None:
    old = entry(1, name="old-1", group="old")
    hosts = [host(1), host(2, group="old")]
    entries = [entry(1), entry(2, group="old"), old]
    connected = frozenset({("ns", "10.0.0.1", "web"), ("ns", "10.0.0.2", "old")})
    report = compare(hosts, entries, connected=connected)
    assert [[e.name for e in found] for found in report.duplicates] == [["web-1", "old-1"]]
    assert [(s.entry.name, bool(s.proof)) for s in report.superfluous] == [("old-1", True)]


def test_what_may_be_of_a_host_without_an_address_stays() -> None:
    lost = host(3, address="")
    others = [host(1), host(4, group="api")]
    entries = [entry(1), entry(2), entry(9, group="api", name="api-9")]
    report = compare([*others, lost], entries, connected=frozenset())
    assert [h.name for h in report.unknown] == ["h3"]
    assert [h.name for h in report.unregistered] == ["h4"]
    assert [(s.entry.name, bool(s.proof)) for s in report.superfluous] == [
        ("web-2", False),
        ("api-9", True),
    ]
    assert report.superfluous[0].kept == "it may be of h3, whose address is not known"
    assert not compare([lost], []).consistent


def test_fields_that_differ_are_named() -> None:
    report = compare([host(1)], [entry(1, labels={"app": "wbe"}, network="")])
    assert [(w.field, w.expected, w.found) for w in report.wrong] == [
        ("labels.app", "web", "wbe"),
        ("network", "net-1", ""),
    ]
    assert [(e.name, closest) for e, closest in report.unselected] == [
        ("web-1", "Service web would, with app=web")
    ]


def test_an_entry_that_serves_nothing_need_not_be_selected() -> None:
    report = compare([host(1, labels={})], [entry(1, labels={}, ports={})])
    assert report.consistent


def test_hosts_are_read_as_the_filter_member_gives_them() -> None:
    values = {"name": "h", "namespace": "ns", "group": "web", "address": "10.0.0.1"}
    assert reconcile.read_host(0, {**values, "group": None}) is None
    with pytest.raises(ValueError, match="h: network: expected a value, found none"):
        reconcile.read_host(0, values)
    found = reconcile.read_host(0, {**values, "network": "n", "ports": [], "profile": "vm"})
    assert found is not None
    assert (found.service_account, found.address) == ("", "10.0.0.1")
    lost = reconcile.read_host(0, {**values, "network": "n", "address": None})
    assert lost is not None
    assert lost.address == ""
