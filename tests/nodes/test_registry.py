# SPDX-License-Identifier: Apache-2.0
"""Which entries are of nobody, where istiod is what it is for its users: pods of a Deployment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.node.istio import NAMESPACE as ISTIO
from lab.node.istiod import PORT, Istiods, Pod
from tests.cluster.registering import registered
from tests.cluster.registry import Registry, host, until

from .conftest import ROOT, Mesh

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_podman,
    pytest.mark.needs_envoy,
    pytest.mark.needs_tools,
    pytest.mark.timeout(900),
]

A, B, C = (host("registry", name, f"10.242.1.{n}") for n, name in enumerate("abc", start=1))
ENTRY_A, ENTRY_B, ENTRY_C = (f"web-10.242.1.{n}-net-1" for n in (1, 2, 3))
ROLES = {
    name: yaml.safe_load((ROOT / "roles" / "cluster" / "files" / f"{name}.yaml").read_text())
    for name in ("control-plane", "workloads")
}
FORWARDING = ["pods/portforward"]


@dataclass(frozen=True, slots=True)
class Door:
    """The way to istiod that a host has."""

    addresses: list[str]
    root_certificate: Path
    cluster_id: str

    def of(self, pod: Pod) -> Door:
        """The way to one istiod alone."""
        return Door([f"{pod.address}:{PORT}"], self.root_certificate, self.cluster_id)


@pytest.fixture(scope="module")
def istiods(mesh: Mesh) -> Istiods:
    return mesh.cluster.istiods


@pytest.fixture(scope="module")
def registry(mesh: Mesh) -> Registry:
    """A namespace whose operators have the collection's roles; `blind` may not ask istiods."""
    made = Registry(mesh.api, "registry")
    made.prepare("web")
    rules = ROLES["control-plane"]["rules"]
    blind = {
        **ROLES["control-plane"],
        "metadata": {"name": "blind"},
        "rules": [rule for rule in rules if rule["resources"] != FORWARDING],
    }
    assert len(blind["rules"]) == len(rules) - 1
    mesh.api.apply([*ROLES.values(), blind])
    for user, plane in (("operator", "hybrid-mesh-control-plane"), ("blind", "blind")):
        for place, role in ((ISTIO, plane), ("registry", "hybrid-mesh-workloads")):
            how = (f"--clusterrole={role}", f"--user={user}", f"--namespace={place}")
            mesh.api.kubectl("create", "rolebinding", user, *how)
    return made


@pytest.fixture(scope="module")
def door(mesh: Mesh, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Door:
    """By the load balancer, as hosts join."""
    root = tmp_path_factory.mktemp("door") / "root.pem"
    found = mesh.api.get("configmap/istio-ca-root-cert", f"--namespace={registry.namespace}")
    root.write_text(found["data"]["root-cert.pem"])
    return Door(mesh.cluster.istiods.addresses, root, mesh.api.name)


def operator(registry: Registry, user: str = "operator") -> dict[str, Any]:
    """The module's option for a user who has the collection's roles, or less."""
    return {"kubeconfig": str(registry.api.kubeconfig_for(user))}


def kept(found: dict[str, Any]) -> dict[str, str]:
    """By entry, why it stays."""
    return {one["entry"].partition("/")[2]: one["kept"] for one in found["superfluous"]}


async def test_what_a_host_left_behind_at_a_lost_istiod_is_removed_with_proof_alone(
    registry: Registry, istiods: Istiods, door: Door, tmp_path: Path
) -> None:
    (pod,) = istiods.scale(1)
    async with registered(registry.api, door, tmp_path / "b", B):
        async with registered(registry.api, door, tmp_path / "a", A):
            await registry.holds(ENTRY_A, ENTRY_B)
            before = registry.annotations(ENTRY_B)["connectedAt"]
            istiods.freeze(pod)
        (new,) = await asyncio.to_thread(istiods.lose, pod)
        assert new.name != pod.name
        await until(lambda: registry.annotations(ENTRY_B).get("connectedAt") != before)
        assert registry.annotations(ENTRY_A)["workloadController"] == pod.name
        assert "disconnectedAt" not in registry.annotations(ENTRY_A)

        unproved = await registry.reconcile(B, remove=True, **operator(registry, "blind"))
        assert unproved["removed"] == []
        assert f"istiod {ISTIO}/{new.name} cannot be asked" in kept(unproved)[ENTRY_A]
        assert "user 'blind' may not" in kept(unproved)[ENTRY_A]
        assert "pods/portforward in the namespace istio-system" in kept(unproved)[ENTRY_A]

        done = await registry.reconcile(B, remove=True, **operator(registry))
        assert done["superfluous"][0]["proof"] == "no istiod has a connection to it"
        assert done["removed"] == [f"registry/{ENTRY_A}"]
        assert (await registry.reconcile(B, **operator(registry)))["consistent"]
    await registry.holds()


async def test_a_host_of_any_replica_stays_and_one_silent_replica_keeps_all(
    registry: Registry, istiods: Istiods, door: Door, tmp_path: Path
) -> None:
    first, second = istiods.scale(2)
    async with registered(registry.api, door.of(first), tmp_path / "b", B):
        async with registered(registry.api, door.of(second), tmp_path / "c", C):
            await registry.holds(ENTRY_B, ENTRY_C)
            alive = await registry.reconcile(A, remove=True, **operator(registry))
            assert alive["removed"] == []
            assert set(kept(alive)) == {ENTRY_B, ENTRY_C}
            assert set(kept(alive).values()) == {"an istiod has a connection to it: it is alive"}
            istiods.freeze(second)
        silent = await registry.reconcile(A, remove=True, **operator(registry))
        assert silent["removed"] == []
        assert set(kept(silent)) == {ENTRY_B, ENTRY_C}
        assert all(f"istiod {ISTIO}/{second.name} cannot" in why for why in kept(silent).values())

        await asyncio.to_thread(istiods.lose, second)
        done = await registry.reconcile(A, remove=True, **operator(registry))
        assert done["removed"] == [f"registry/{ENTRY_C}"]
        assert registry.names() == {ENTRY_B}
    await registry.holds()
