# SPDX-License-Identifier: Apache-2.0
"""Files to documents: what is accepted, and how each sort of problem reads."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh_control.model import Document
from mesh_control.objects.load import Loaded, load
from mesh_control.objects.problems import Kind, Severity

Lines = Callable[[str], list[str]]
Sets = Mapping[str, frozenset[str]]

WIDE = Path(__file__).parent / "wide.yaml"
VIRTUAL_SERVICE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec:
  hosts: [api]
  http:
    - route: [{destination: {host: api}}]
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec:
  ports: [{port: 80, name: http}]
"""


def test_the_shop_has_no_problems(shop: dict[str, str], everything: Sets) -> None:
    loaded = load(shop, everything)
    assert [str(problem) for problem in loaded.problems] == []
    kinds = [document.kind for document in loaded.documents]
    assert len(kinds) == 19
    assert kinds.count("WorkloadGroup") == 4
    assert [d.created for d in loaded.documents] == list(range(19))


def test_a_document_carries_names_labels_and_its_spec(loaded: Callable[[str], Loaded]) -> None:
    text = SERVICE.replace("namespace: shop}", "labels: {a: b}, annotations: {x/y: z}}")
    (document,) = loaded(text).documents
    assert document == Document(
        kind="Service",
        name="api",
        namespace="default",
        labels={"a": "b"},
        annotations={"x/y": "z"},
        spec={"ports": [{"port": 80, "name": "http"}]},
        where="shop.yaml[0]",
        created=0,
    )


def test_the_config_map_is_read_into_its_texts(shop: dict[str, str], everything: Sets) -> None:
    loaded = load(shop, everything)
    (document,) = (d for d in loaded.documents if d.kind == "ConfigMap")
    mesh: Any = document.spec
    assert mesh["mesh"]["trustDomain"] == "cluster.local"
    gateway = mesh["meshNetworks"]["networks"]["network-2"]["gateways"][0]
    assert gateway == {"address": "10.231.2.2", "port": 15443}


def test_a_typing_error_names_place_and_the_likely_word(lines: Lines) -> None:
    text = f"{SERVICE}---{SERVICE.replace('name: api', 'name: web')}---{VIRTUAL_SERVICE}"
    assert lines(text.replace("- route:", "- rout:")) == [
        "shop.yaml[2] VirtualService shop/api: "
        "spec.http[0].rout: unknown field; did you mean route?",
    ]


def test_a_wrong_value_says_what_was_found_and_expected(lines: Lines) -> None:
    assert lines(SERVICE.replace("port: 80", "port: 70000")) == [
        "shop.yaml[0] Service shop/api: "
        "spec.ports[0].port: expected a port (1 to 65535), found 70000"
    ]


def test_a_problem_names_the_line(loaded: Callable[[str], Loaded]) -> None:
    (problem,) = loaded(SERVICE.replace("port: 80", "port: 70000")).problems
    assert str(problem).endswith("found 70000 (line 6)")


def test_what_is_known_and_not_supported_is_said_with_its_file(lines: Lines) -> None:
    text = SERVICE.replace("spec:", "spec:\n  externalIPs: [10.0.0.1]\n  type: LoadBalancer")
    assert lines(text) == [
        "shop.yaml[0] Service shop/api: not supported yet: spec.externalIPs in shop.yaml",
        "shop.yaml[0] Service shop/api: not supported yet: "
        "spec.type: 'LoadBalancer' (supported: ClusterIP) in shop.yaml",
    ]


def test_a_value_that_the_api_does_not_have_is_not_also_called_unsupported(lines: Lines) -> None:
    (line,) = lines(SERVICE.replace("spec:", "spec:\n  type: LoadBalanser"))
    assert line.endswith("found 'LoadBalanser'; did you mean LoadBalancer?")


def test_what_the_translation_does_not_list_is_not_supported(shop: dict[str, str]) -> None:
    loaded = load(shop, {"VirtualService": {"hosts", "http[].route"}})
    by_field = [str(p) for p in loaded.problems if "VirtualService" in str(p)]
    assert by_field == [
        "gateway.yaml[2] VirtualService istio-system/istiod: "
        "not supported yet: spec.gateways in gateway.yaml (line 27)",
        "gateway.yaml[2] VirtualService istio-system/istiod: "
        "not supported yet: spec.tls in gateway.yaml (line 28)",
    ]
    assert "VirtualService" in {document.kind for document in loaded.documents}
    assert "Gateway" not in {document.kind for document in loaded.documents}


def test_all_problems_are_reported_not_the_first(lines: Lines) -> None:
    broken = VIRTUAL_SERVICE.replace("hosts: [api]", "hosts: [api]\n  wether: 1")
    found = lines(broken.replace("host: api", "host: '!'") + "---" + SERVICE.replace("80", "0"))
    assert [line.split(":")[0] for line in found] == [
        "shop.yaml[0] VirtualService shop/api",
        "shop.yaml[0] VirtualService shop/api",
        "shop.yaml[1] Service shop/api",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "kind: Service",
            "kind: Sevrice",
            "shop.yaml[0]: kind: unknown kind 'Sevrice'; did you mean Service?",
        ),
        (
            "kind: Service",
            "kind: Sidecar",
            "shop.yaml[0]: not supported yet: kind Sidecar in shop.yaml",
        ),
        (
            "apiVersion: v1",
            "apiVersion: v2",
            "shop.yaml[0]: apiVersion: expected v1 for a Service, found 'v2'",
        ),
        (
            "apiVersion: v1",
            "",
            "shop.yaml[0]: apiVersion: expected v1 for a Service, found nothing",
        ),
        (
            "kind: Service",
            "",
            "shop.yaml[0]: kind: expected the kind of an object, found nothing",
        ),
        (
            "name: api,",
            "",
            "shop.yaml[0] Service: metadata.name: is required",
        ),
        (
            "name: api,",
            "name: Api,",
            "shop.yaml[0] Service shop/Api: metadata.name: expected a DNS name "
            "(lower-case letters, digits, '-' and '.'), found 'Api'",
        ),
        (
            "namespace: shop",
            "namespace: a.b",
            "shop.yaml[0] Service a.b/api: metadata.namespace: expected a DNS label (lower-case "
            "letters, digits and '-', at most 63 characters), found 'a.b'",
        ),
        (
            "name: api,",
            "name: api, labels: {version: 1},",
            "shop.yaml[0] Service shop/api: metadata.labels.version: expected a label value (at "
            "most 63 letters, digits, '-', '_', '.'), found 1; put it in quotes",
        ),
        (
            "spec:",
            "data:",
            "shop.yaml[0] Service shop/api: data: unknown field; did you mean metadata?",
        ),
        (
            "name: api,",
            "name: api, annotations: {networking.istio.io/exportTo: '.'},",
            "shop.yaml[0] Service shop/api: not supported yet: "
            "metadata.annotations[networking.istio.io/exportTo] in shop.yaml",
        ),
    ],
)
def test_header_and_metadata(lines: Lines, old: str, new: str, expected: str) -> None:
    found = lines(SERVICE.replace(old, new, 1))
    assert found[0] == expected


def test_gateway_api_is_told_from_istios(lines: Lines) -> None:
    text = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: x}\n"
    assert lines(text) == [
        "shop.yaml[0]: not supported yet: kind Gateway of gateway.networking.k8s.io/v1 in shop.yaml"
    ]


def test_a_document_that_is_no_object(lines: Lines) -> None:
    assert lines("- a\n---\njust text\n") == [
        "shop.yaml[0]: expected an object, found a list",
        "shop.yaml[1]: expected an object, found 'just text'",
    ]


def test_an_object_in_two_files_is_an_error_that_names_both(everything: Sets) -> None:
    loaded = load({"a.yaml": SERVICE, "b.yaml": SERVICE}, everything)
    (problem,) = loaded.problems
    assert str(problem) == "b.yaml[0] Service shop/api: is already defined in a.yaml[0]"
    assert loaded.bad_files == {"b.yaml"}
    assert problem.others == ("a.yaml",)
    assert [document.where for document in loaded.documents] == ["a.yaml[0]"]


def test_a_namespace_is_in_no_namespace(lines: Lines) -> None:
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
    again = text.replace("name: shop", "name: shop, namespace: x")
    assert lines(f"{text}---\n{again}") == [
        "shop.yaml[1] Namespace shop: is already defined in shop.yaml[0]"
    ]


def test_a_document_with_an_error_is_left_out_and_its_file_is_bad(
    loaded: Callable[[str], Loaded],
) -> None:
    result = loaded(f"{SERVICE}---{VIRTUAL_SERVICE.replace('host: api', 'hots: api')}")
    assert [document.kind for document in result.documents] == ["Service"]
    assert result.bad_files == {"shop.yaml"}
    assert {problem.kind for problem in result.problems} == {Kind.UNKNOWN, Kind.INVALID}


def test_the_reader_has_the_last_word(everything: Sets) -> None:
    def reader(document: Document) -> list[str]:
        return [f"{document.where}: spec.http[0].route: expected less, found more"]

    loaded = load({"shop.yaml": VIRTUAL_SERVICE}, everything, reader)
    assert [str(problem) for problem in loaded.problems] == [
        "shop.yaml[0] VirtualService shop/api: "
        "spec.http[0].route: expected less, found more (line 8)"
    ]
    assert not loaded.documents


def test_the_reader_gets_the_mesh_settings_as_their_own_kind(
    shop: dict[str, str], everything: Sets
) -> None:
    seen = {}

    def reader(document: Document) -> list[str]:
        seen[document.kind] = document.spec
        return []

    load(shop, everything, reader)
    assert seen["MeshConfig"]["outboundTrafficPolicy"] == {"mode": "ALLOW_ANY"}
    assert "ConfigMap" not in seen


def test_the_texts_of_the_config_map_are_looked_into(shop: dict[str, str], lines: Lines) -> None:
    text = shop["mesh.yaml"].replace("rootNamespace", "rotNamespace")
    text = text.replace("address: 10.231.2.2", "adress: 10.231.2.2")
    text = text.replace("mode: ALLOW_ANY", "mode: ALLOW_ANY\n    enableTracing: true")
    assert lines(text) == [
        "shop.yaml[0] ConfigMap istio-system/istio: "
        "data.mesh.rotNamespace: unknown field; did you mean rootNamespace?",
        "shop.yaml[0] ConfigMap istio-system/istio: data.meshNetworks.networks.network-2."
        "gateways[0].adress: unknown field; did you mean address?",
        "shop.yaml[0] ConfigMap istio-system/istio: "
        "not supported yet: data.mesh.enableTracing in shop.yaml",
    ]


def _mutations(value: Any) -> Iterator[Any]:
    """Every value of a tree replaced, in turn, by each of some odd ones."""
    odd: list[Any] = [None, "", "x", -1, 1.5, True, [], {}, [None], {"x": None}]
    yield from odd
    if isinstance(value, dict):
        for key in value:
            for mutation in _mutations(value[key]):
                yield {**value, key: mutation}
            yield {k: v for k, v in value.items() if k != key}
    if isinstance(value, list):
        for index, item in enumerate(value):
            for mutation in _mutations(item):
                yield [*value[:index], mutation, *value[index + 1 :]]


def test_no_input_breaks_the_reader(shop: dict[str, str], everything: Sets) -> None:
    count = 0
    for text in (*shop.values(), WIDE.read_text()):
        for document in yaml.safe_load_all(text):
            for mutation in _mutations(copy.deepcopy(document)):
                loaded = load({"x.yaml": json.dumps(mutation)}, everything)
                assert all(str(problem) for problem in loaded.problems)
                count += 1
    assert count > 7000


def test_advice_is_a_warning_and_anything_else_an_error() -> None:
    assert [kind.severity for kind in Kind] == [Severity.ERROR] * 3 + [Severity.WARNING]
