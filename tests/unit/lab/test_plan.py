# SPDX-License-Identifier: Apache-2.0
"""Whether the lab that stands is the one that is wanted."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from lab.plan import digest
from lab.spec import Cluster, Host, Interface, Lab

ADDRESS = ip_address("10.9.1.2")
HOST = Host("web", (Interface("network-1", (ADDRESS,)),), "web", (), ADDRESS)
LAB = Lab("demo", (), (HOST,))
TOOLS = Path("/cache/tools/1")


def test_the_same_lab_has_the_same_digest() -> None:
    assert digest(LAB, "image:1", TOOLS) == digest(replace(LAB), "image:1", TOOLS)


def test_the_digest_follows_what_hosts_are_made_of() -> None:
    settings = replace(LAB, hosts=(replace(HOST, environment=(("VERSION", "v2"),)),))
    workload = replace(LAB, hosts=(replace(HOST, workload="api"),))
    image = digest(LAB, "image:2", TOOLS)
    found = {
        digest(LAB, "image:1", TOOLS),
        digest(settings, "image:1", TOOLS),
        digest(workload, "image:1", TOOLS),
        image,
    }
    assert len(found) == 4


def test_the_versions_of_the_tools_count_where_a_cluster_runs() -> None:
    newer = Path("/cache/tools/2")
    cluster = replace(HOST, cluster=Cluster("c1", "network-1", ("shop",)))
    with_cluster = replace(LAB, hosts=(cluster,))
    assert digest(LAB, "image:1", TOOLS) == digest(LAB, "image:1", newer)
    assert digest(with_cluster, "image:1", TOOLS) != digest(with_cluster, "image:1", newer)
    assert digest(with_cluster, "image:1", TOOLS) != digest(LAB, "image:1", TOOLS)
