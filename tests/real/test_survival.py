"""Restarts, kills, reboots and outages: what the agent is for."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lab.podman import environment

from .conftest import Lab

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_podman, pytest.mark.timeout(600)]

API = "http://api.shop.svc.cluster.local"
LOAD = Path(__file__).with_name("load.py")


def start_load(host: str, seconds: int) -> subprocess.Popen[str]:
    with LOAD.open() as script:
        return subprocess.Popen(
            ["podman", "exec", "-i", f"mesh-lab-{host}", "python3", "-", str(seconds)],
            env=environment(),
            stdin=script,
            stdout=subprocess.PIPE,
            text=True,
        )


def result(load: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = load.communicate(timeout=120)
    counts: dict[str, Any] = json.loads(output)
    return counts


@pytest.mark.parametrize(
    "disturb", ["systemctl restart mesh-agent", "systemctl kill -s KILL mesh-agent"]
)
def test_the_agent_goes_and_nothing_is_lost(lab: Lab, disturb: str) -> None:
    load = start_load("web", 20)
    for host in ("web", "api-1", "web", "api-2", "web"):
        time.sleep(2.5)
        lab.run(host, disturb)
    counts = result(load)
    assert counts["http"]["failed"] == []
    assert counts["names"]["failed"] == []
    assert counts["http"]["ok"] > 1000, counts["http"]["ok"]
    assert counts["names"]["ok"] > 1000, counts["names"]["ok"]


def test_without_the_gateways_proxy_there_is_no_way_and_it_comes_back(lab: Lab) -> None:
    assert lab.queries("api-1")
    lab.run(lab.gateway_to_database, "systemctl stop mesh-proxy")
    try:
        assert not lab.queries("api-1")
    finally:
        lab.run(lab.gateway_to_database, "systemctl start mesh-proxy")
    lab.wait("the database is back", lambda: lab.queries("api-1"))


def test_a_control_plane_that_says_nothing_for_long_is_called_again(lab: Lab) -> None:
    """A connection is lost, later calls end by their time limit: asyncio ends these otherwise."""

    def last_error() -> str:
        return str(lab.status("web")["control_plane"]["last_error"])

    # Who is connected stays so, until the restart.
    lab.run(
        "web",
        "nft add table inet void && nft add chain inet void out '{ type filter hook output "
        "priority 0; }' && nft add rule inet void out tcp dport 15012 ct state new drop",
    )
    try:
        lab.run("control", f"systemctl restart {lab.control_plane_unit}")
        lab.wait("a call ended by its time limit", lambda: "no answer in time" in last_error())
    finally:
        lab.run("web", "nft delete table inet void")
    lab.wait(
        "web is connected again", lambda: lab.status("web")["control_plane"]["source"] == "live"
    )


def test_a_host_comes_back_from_a_reboot(lab: Lab) -> None:
    lab.podman("restart", "-t", "10", "mesh-lab-web")
    lab.wait("web calls the api again", lambda: lab.answers("web", f"{API}/"))
    lab.podman("restart", "-t", "10", "mesh-lab-db")
    lab.wait("the database answers again", lambda: lab.queries("api-1"))


def test_hosts_come_back_from_a_reboot_without_the_control_plane(lab: Lab) -> None:
    lab.run("control", f"systemctl stop {lab.control_plane_unit}")
    try:
        for host in ("web", "api-1", "api-2"):
            lab.podman("restart", "-t", "10", f"mesh-lab-{host}")
        lab.wait("web calls the api again", lambda: lab.answers("web", f"{API}/"))
        assert lab.queries("api-1")
        refused = lab.run("outsider", "curl -s -m 5 http://10.231.1.21:8080/", check=False)
        assert refused.returncode in (52, 56), refused
        status = lab.status("web")
        assert status["control_plane"]["source"] == "cache", status["control_plane"]
    finally:
        lab.run("control", f"systemctl start {lab.control_plane_unit}")
    lab.wait(
        "web is connected again", lambda: lab.status("web")["control_plane"]["source"] == "live"
    )
    lab.wait("web calls the api", lambda: lab.answers("web", f"{API}/"))
