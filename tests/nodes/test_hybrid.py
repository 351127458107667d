# SPDX-License-Identifier: Apache-2.0
"""Pods with injected sidecars and a VM behind one Service of a real Istio."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import VM_ADDRESS, Mesh, wait

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_podman,
    pytest.mark.needs_envoy,
    pytest.mark.needs_tools,
    pytest.mark.timeout(900),
]

WEB = "http://web.shop.svc.cluster.local/"


def weights(mesh: Mesh, pods: int, vm: int) -> None:
    """Change the shares of both kinds of endpoints."""
    route = mesh.api.get("virtualservice/web", "--namespace=shop")
    routes: list[dict[str, Any]] = route["spec"]["http"][0]["route"]
    for entry, weight in zip(routes, (pods, vm), strict=True):
        entry["weight"] = weight
    wanted = {key: route[key] for key in ("apiVersion", "kind", "spec")}
    mesh.api.apply([wanted | {"metadata": {"name": "web", "namespace": "shop"}}])


def test_pods_and_the_vm_answer_a_pod_by_one_name(joined: Mesh) -> None:
    wait("the VM answers", lambda: "web-vm" in {a.host for a in joined.from_pod("client", WEB, 10)})
    found = joined.from_pod("client", WEB, 60)
    assert len(found) == 60
    assert {(a.server, a.caller) for a in found} == {("shop/web", "shop/client")}
    assert len({a.host for a in found}) == 3
    share = sum(a.host == "web-vm" for a in found)
    assert 15 <= share <= 45, share


def test_the_vm_calls_pods_by_name(joined: Mesh) -> None:
    wait("pods answer", lambda: "pods" in {a.version for a in joined.from_host("web-vm", WEB, 5)})
    found = joined.from_host("web-vm", WEB, 30)
    assert len(found) == 30
    assert {(a.server, a.caller) for a in found} == {("shop/web", "shop/web")}
    assert {a.peer for a in found} == {"127.0.0.6"}


@pytest.mark.parametrize(("pods", "vm"), [(0, 100), (100, 0)])
def test_weights_decide_between_pods_and_vms(joined: Mesh, pods: int, vm: int) -> None:
    expected = ["host" if vm else "pods"] * 20

    def from_pod() -> list[str]:
        return [answer.version for answer in joined.from_pod("client", WEB, 20)]

    def from_vm() -> list[str]:
        return [answer.version for answer in joined.from_host("web-vm", WEB, 20)]

    weights(joined, pods, vm)
    try:
        wait("the pods heard of it", lambda: from_pod() == expected)
        wait("the VM heard of it", lambda: from_vm() == expected)
        assert from_pod() + from_vm() == expected * 2
    finally:
        weights(joined, 50, 50)


def test_plaintext_is_refused_everywhere(joined: Mesh) -> None:
    pods = joined.api.get("pods", "--namespace=shop", "--selector=app=web")["items"]
    for address in (VM_ADDRESS, *(pod["status"]["podIP"] for pod in pods)):
        assert joined.refusal("outsider", f"http://{address}:8080/") in (52, 56), address
