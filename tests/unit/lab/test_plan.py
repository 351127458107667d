# SPDX-License-Identifier: Apache-2.0
"""Whether the lab that stands is the one that is wanted."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from lab.plan import digest
from lab.spec import Host, Interface, Lab

ADDRESS = ip_address("10.9.1.2")
HOST = Host("web", (Interface("network-1", (ADDRESS,)),), "web", (), ADDRESS)
LAB = Lab("demo", (), (HOST,))


def test_the_same_lab_has_the_same_digest() -> None:
    assert digest(LAB, "image:1") == digest(replace(LAB), "image:1")


def test_the_digest_follows_what_hosts_are_made_of() -> None:
    settings = replace(LAB, hosts=(replace(HOST, environment=(("VERSION", "v2"),)),))
    workload = replace(LAB, hosts=(replace(HOST, workload="api"),))
    image = digest(LAB, "image:2")
    found = {
        digest(LAB, "image:1"),
        digest(settings, "image:1"),
        digest(workload, "image:1"),
        image,
    }
    assert len(found) == 4
