"""A host that was off for longer than its certificate lives says so, and comes back as it was."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from .conftest import Lab

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_podman, pytest.mark.timeout(900)]

HOST = "api-2"
API = "http://api.shop.svc.cluster.local"
CONFIG = "/etc/mesh-agent/config.d/agent.yaml"
LIFETIME = 40


def renew(lab: Lab, change: str) -> None:
    """Change the agent's configuration, and have it get a certificate anew."""
    # The socket as well: a question would start the agent again.
    units = "mesh-agent.socket mesh-agent.service"
    lab.run(HOST, f"systemctl stop {units} && rm -rf /var/lib/mesh-agent/identity && {change}")
    lab.run(HOST, f"systemctl start {units}")
    lab.play("rejoin", "--limit", HOST)


@pytest.fixture
def short_lived(lab: Lab) -> Iterator[None]:
    """The host's certificates live shortly; afterwards it is as it was."""
    lifetime = f"s/\\(lifetime_seconds.*\\) [0-9]\\+/\\1 {LIFETIME}/"
    change = f"sed -i '{lifetime}' {CONFIG} && grep 'lifetime_seconds.* {LIFETIME}' {CONFIG}"
    renew(lab, f"cp {CONFIG} /etc/mesh-agent/agent.yaml.before && {change}")
    yield
    lab.podman("start", f"mesh-lab-{HOST}")
    renew(lab, f"mv /etc/mesh-agent/agent.yaml.before {CONFIG}")


def rules(lab: Lab) -> tuple[str, list[int]]:
    """The redirection with its handles, and its counters."""
    text = lab.run(HOST, "nft --handle list table inet hybrid_mesh").stdout
    counters = [int(number) for number in re.findall(r"packets (\d+)", text)]
    return re.sub(r"(packets|bytes) \d+", r"\1 N", text), counters


def stranded(lab: Lab) -> bool:
    """Whether the agent runs and says that it needs a token."""
    done = lab.run(HOST, "mesh-agent status --json", check=False)
    return done.returncode == 0 and bool(lab.status(HOST)["identity"]["needs_token"])


def redirected(lab: Lab) -> bool:
    """Whether the rules are there again."""
    return lab.run(HOST, "nft list table inet hybrid_mesh", check=False).returncode == 0


@pytest.mark.usefixtures("short_lived")
def test_a_host_that_was_off_for_too_long_comes_back(lab: Lab) -> None:
    lab.podman("stop", "-t", "10", f"mesh-lab-{HOST}")
    time.sleep(LIFETIME + 5)  # real time: certificates know no other
    lab.podman("start", f"mesh-lab-{HOST}")

    lab.wait("its status says that it needs a token", lambda: stranded(lab))
    assert "needs a join token" in lab.run(HOST, "mesh-agent status", check=False).stdout
    metrics = lab.run(HOST, "curl -s http://127.0.0.1:15020/metrics").stdout
    assert re.search(r"^mesh_agent_identity_needs_token 1", metrics, re.MULTILINE), metrics[:2000]
    assert "rejoin.yml" in lab.run(HOST, "journalctl --boot --unit mesh-agent").stdout

    lab.wait("its rules are there after the boot", lambda: redirected(lab))
    before, counted = rules(lab)
    lab.play("rejoin", "--limit", HOST)
    lab.wait("it is in the mesh", lambda: bool(lab.status(HOST)["ready"]), seconds=30)
    after, counted_since = rules(lab)
    assert after == before
    assert all(new >= old for new, old in zip(counted_since, counted, strict=True))
    lab.wait("its peers reach it", lambda: lab.answers("web", f"{API}/healthz"))
    lab.wait("it reaches its peers", lambda: lab.queries(HOST))
