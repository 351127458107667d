# SPDX-License-Identifier: Apache-2.0
"""Warnings that several documents give together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from mesh_control.objects.load import Loaded, load

Sets = Mapping[str, frozenset[str]]


@pytest.fixture
def warnings(shop: dict[str, str], everything: Sets) -> Callable[..., list[str]]:
    """The warnings of the shop after a replacement in its files, or with a further file."""

    def run(old: str = "", new: str = "", further: str = "") -> list[str]:
        files = {name: text.replace(old, new) if old else text for name, text in shop.items()}
        assert not old or files != shop
        loaded: Loaded = load({**files, "z.yaml": further}, everything)
        assert {problem.severity for problem in loaded.problems} <= {"warning"}
        return [
            str(problem).rpartition(" (line ")[0] or str(problem) for problem in loaded.problems
        ]

    return run


def test_a_destination_that_does_not_exist(warnings: Callable[..., list[str]]) -> None:
    assert warnings("host: api, subset: v1", "host: apo, subset: v1") == [
        "shop.yaml[9] VirtualService shop/api: spec.http[0].route[0].destination.host: there is no "
        "Service or ServiceEntry for apo.shop.svc.cluster.local; "
        "did you mean api.shop.svc.cluster.local?"
    ]


def test_a_name_with_a_dot_is_complete(warnings: Callable[..., list[str]]) -> None:
    (warning,) = warnings("host: api, subset: v1", "host: api.shop, subset: v1")
    assert warning.endswith("for api.shop; did you mean api.shop.svc.cluster.local?")


def test_a_subset_that_does_not_exist(warnings: Callable[..., list[str]]) -> None:
    assert warnings("subset: v2", "subset: v3") == [
        "shop.yaml[9] VirtualService shop/api: spec.http[0].route[1].destination.subset: "
        "no DestinationRule of api.shop.svc.cluster.local has a subset 'v3' (it has: v1, v2)"
    ]


def test_a_rule_for_a_host_that_does_not_exist(warnings: Callable[..., list[str]]) -> None:
    found = warnings("  host: api\n", "  host: apj\n")
    assert (
        "shop.yaml[8] DestinationRule shop/api: spec.host: there is no Service or ServiceEntry for "
        "apj.shop.svc.cluster.local; did you mean api.shop.svc.cluster.local?"
    ) in found


def test_a_gateway_that_does_not_exist(warnings: Callable[..., list[str]]) -> None:
    assert warnings("gateways: [istiod-gateway]", "gateways: [istio-gateway]") == [
        "gateway.yaml[2] VirtualService istio-system/istiod: spec.gateways[0]: there is no Gateway "
        "istio-system/istio-gateway; did you mean istio-system/istiod-gateway?"
    ]


def test_a_service_entry_for_a_host_that_a_service_has(
    warnings: Callable[..., list[str]],
) -> None:
    further = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: again, namespace: shop}
spec:
  hosts: [api.shop.svc.cluster.local]
  ports: [{number: 80, name: http}]
"""
    assert warnings(further=further) == [
        "z.yaml[0] ServiceEntry shop/again: spec.hosts[0]: api.shop.svc.cluster.local is already a "
        "host of Service shop/api in shop.yaml[6], which is the one used"
    ]


def test_two_policies_for_a_whole_namespace(warnings: Callable[..., list[str]]) -> None:
    further = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: second, namespace: istio-system}
"""
    assert warnings(further=further) == [
        "z.yaml[0] PeerAuthentication istio-system/second: spec: mesh.yaml[1] already holds for "
        "the whole namespace, and is the one used"
    ]


def test_an_address_of_two_entries(warnings: Callable[..., list[str]]) -> None:
    entry = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: NAME, namespace: shop}
spec: {address: 10.0.0.1, network: NETWORK}
"""
    same = [entry.replace("NAME", "a"), entry.replace("NAME", "b")]
    (warning,) = warnings(further="---".join(same))
    assert warning.endswith(
        "spec.address: 10.0.0.1 is also the address of WorkloadEntry shop/a in z.yaml[0]"
    )
    same[1] = same[1].replace("NETWORK", "other")
    assert warnings(further="---".join(same)) == []


def test_no_warnings_beside_errors(shop: dict[str, str], everything: Sets) -> None:
    """A Service that cannot be read must not make its rules look wrong too."""
    shop["shop.yaml"] = shop["shop.yaml"].replace("port: 80, targetPort: 8080", "port: x")
    loaded = load(shop, everything)
    assert [problem.severity for problem in loaded.problems] == ["error"]
