"""Rules that shut their operator out go by themselves, and do not come back."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from .conftest import Lab

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_podman, pytest.mark.timeout(180)]

# A way to web's sshd that the mesh does not know to be one: its first bytes go to Envoy instead.
WAY_IN = ("10.231.1.11", 2222)
START_WAY_IN = (
    f"systemd-run --quiet --unit=way-in --socket-property=ListenStream={WAY_IN[1]} "
    "/lib/systemd/systemd-socket-proxyd 127.0.0.1:22"
)
TABLE = "table inet hybrid_mesh"


def greeted() -> bool:
    """Whether an operator who comes that way meets sshd."""
    try:
        with socket.create_connection(WAY_IN, 3) as connection:
            connection.sendall(b"SSH-2.0-operator\r\n")
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


@pytest.fixture
def web(lab: Lab) -> Iterator[str]:
    """The host, with the way in and no rules; afterwards as it was."""
    lab.run("web", START_WAY_IN)
    lab.run("web", "systemctl stop mesh-redirect.service")
    yield "web"
    lab.run("web", "systemctl stop way-in.socket way-in.service", check=False)
    lab.run("web", "mesh-agent redirect remove; systemctl restart mesh-redirect.service")
    lab.run("web", "mesh-agent redirect check")


def test_rules_that_nobody_can_confirm_are_removed(lab: Lab, web: str) -> None:
    assert greeted()
    lab.run(web, "mesh-agent redirect apply --confirm-within 5")
    assert TABLE in lab.run(web, "nft list tables inet").stdout
    assert not greeted()
    took = lab.wait("the operator is let in again", greeted, seconds=30)
    assert took > 1, took
    assert TABLE not in lab.run(web, "nft list tables inet").stdout
    late = lab.run(web, "mesh-agent redirect confirm", check=False)
    assert late.returncode != 0
    assert "nothing to confirm" in late.stderr
    assert "not applied" in lab.run(web, "mesh-agent status").stdout


def test_rules_that_are_confirmed_stay(lab: Lab, web: str) -> None:
    lab.run(web, "mesh-agent redirect apply --confirm-within 5")
    assert "confirmed" in lab.run(web, "mesh-agent redirect confirm").stdout
    timers = lab.run(web, "systemctl list-units --all 'mesh-redirect-deadman*'").stdout
    assert "mesh-redirect-deadman.timer" not in timers, timers
    assert TABLE in lab.run(web, "nft list tables inet").stdout
