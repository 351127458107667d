# SPDX-License-Identifier: Apache-2.0
"""Allocation of virtual addresses."""

from __future__ import annotations

import ipaddress

from mesh_control.registry.addresses import allocate

WIDE = ipaddress.ip_network("240.240.0.0/16")
NARROW = ipaddress.ip_network("240.240.0.0/29")  # six addresses
HOSTS = [f"s{i}.shop.svc.cluster.local" for i in range(6)]


def test_each_host_gets_one_of_its_own_and_always_the_same() -> None:
    first = allocate(WIDE, HOSTS, {})
    assert first == allocate(WIDE, reversed(HOSTS), {})
    assert len(set(first.values())) == len(HOSTS)
    assert all(ipaddress.ip_address(address) in WIDE for address in first.values())


def test_a_full_network_is_used_to_the_last_address_and_no_further() -> None:
    given = allocate(NARROW, [*HOSTS, "late"], {})
    assert sorted(given.values()) == [f"240.240.0.{i}" for i in range(1, 7)]
    assert len(given) == 6


def test_an_address_never_moves_while_its_host_is_there() -> None:
    known = allocate(NARROW, HOSTS[:3], {})
    later = allocate(NARROW, HOSTS, known)
    assert {host: later[host] for host in known} == known
    fewer = allocate(NARROW, HOSTS[2:], later)
    assert fewer == {host: later[host] for host in HOSTS[2:]}


def test_a_known_address_wins_over_the_one_that_a_new_host_would_get() -> None:
    wish = allocate(NARROW, ["new"], {})["new"]
    given = allocate(NARROW, ["new", "old"], {"old": wish})
    assert given["old"] == wish
    assert given["new"] != wish


def test_addresses_given_by_hand_are_left_alone() -> None:
    wish = allocate(NARROW, ["a"], {})["a"]
    assert allocate(NARROW, ["a"], {"a": wish}, [wish, "10.0.0.1", "fd00::1"])["a"] != wish


def test_addresses_of_another_network_are_given_up() -> None:
    assert allocate(NARROW, ["a"], {"a": "10.0.0.1"})["a"].startswith("240.240.0.")
    six = ipaddress.ip_network("2001:2::/48")
    assert ipaddress.ip_address(allocate(six, ["a"], {"a": "240.240.0.1"})["a"]) in six


def test_a_network_without_room() -> None:
    assert allocate(ipaddress.ip_network("240.240.0.0/32"), ["a"], {}) == {}
