"""The demo's lab, joined by site.yml: these tests use it as its operator would.

They run on `make demo`'s hosts (or `make real`, which brings them up first) and leave them as
they found them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.podman import environment, podman

HOSTS = ("control", "web", "api-1", "api-2", "outsider", "gateway", "db")


ROOT = Path(__file__).parents[2]
KUBECONFIG = ROOT / ".lab" / "cluster" / "operator.kubeconfig"


class Lab:
    """The hosts of the demo, by name."""

    @property
    def istiod(self) -> bool:
        """Whether they joined a real istiod, and not the embedded control plane."""
        return KUBECONFIG.exists()

    @property
    def control_plane_unit(self) -> str:
        """What runs the control plane on the host ``control``."""
        return "istiod" if self.istiod else "mesh-control"

    @property
    def gateway_to_database(self) -> str:
        """The gateway through which the database's network is entered."""
        return "gateway-2" if self.istiod else "gateway"

    def play(
        self, playbook: str, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the playbooks against the demo's inventory."""
        inventory = ROOT / "inventories" / "examples" / ("istiod" if self.istiod else "lab")
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        chosen = ["--inventory", str(inventory / "hosts.yml"), f"playbooks/{playbook}.yml"]
        done = subprocess.run(
            [program, *chosen, *arguments],
            cwd=ROOT,
            env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"{playbook}: exit {done.returncode}\n{done.stdout[-4000:]}{done.stderr}")
        return done

    def status(self, host: str) -> dict[str, Any]:
        """What the agent of a host says of itself."""
        found: dict[str, Any] = json.loads(self.run(host, "mesh-agent status --json").stdout)
        return found

    def run(
        self, host: str, command: str, *, timeout: float = 60, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command on a host; its output is part of the failure's message."""
        done = subprocess.run(
            ["podman", "exec", "-i", f"mesh-lab-{host}", "sh", "-c", command],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"{host}: {command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def podman(self, *arguments: str, timeout: float = 120) -> None:
        """Stop, start or restart a host: what a power switch does."""
        podman(*arguments, timeout=timeout)

    def wait(self, what: str, condition: Callable[[], bool], *, seconds: float = 60) -> float:
        """Wait for a condition; returns how long it took, fails with ``what`` if it never holds."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if condition():
                return time.monotonic() - began
            time.sleep(0.25)
        pytest.fail(f"not within {seconds:.0f} s: {what}")

    def answers(self, host: str, url: str) -> bool:
        """Whether an HTTP call from ``host`` gets a 200."""
        return self.run(host, f"curl -sf -m 5 -o /dev/null {url}", check=False).returncode == 0

    def queries(self, host: str) -> bool:
        """Whether PostgreSQL answers an ordinary client on ``host``."""
        command = (
            "PGPASSWORD=shop PGCONNECT_TIMEOUT=4 psql -h db.shop.svc.cluster.local -U shop shop "
            "-Atc 'select count(*) from orders'"
        )
        return self.run(host, command, check=False).returncode == 0


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The running lab, or a skip that says how to start it."""
    try:
        listed = podman("ps", "--format", "{{.Names}}").split()
    except LabError as error:
        pytest.skip(str(error))
    missing = [host for host in HOSTS if f"mesh-lab-{host}" not in listed]
    if missing:
        pytest.skip(f"the demo's lab is not up (make demo): no {', '.join(missing)}")
    return Lab()
