# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an object is as wanted: its values, and which of its fields are ours."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import fields

BODY: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "WorkloadEntry",
    "metadata": {"name": "a", "namespace": "ns", "labels": {"x/y": "z"}},
    "spec": {"address": "10.0.0.1", "ports": {"http": 80}, "weight": 2},
}
# As a real API server answers the apply of BODY.
LIVE: dict[str, Any] = {
    **BODY,
    "metadata": {
        **BODY["metadata"],
        "resourceVersion": "296",
        "managedFields": [
            {
                "manager": "hybrid.mesh",
                "operation": "Apply",
                "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:x/y": {}}},
                    "f:spec": {"f:address": {}, "f:ports": {"f:http": {}}, "f:weight": {}},
                },
            }
        ],
    },
}


def test_what_was_applied_is_settled() -> None:
    assert fields.settled(LIVE, BODY)
    assert fields.ours(LIVE)


@pytest.mark.parametrize(
    "spec",
    [
        {"address": "10.0.0.2", "ports": {"http": 80}, "weight": 2},
        {"address": "10.0.0.1", "ports": {"http": 80}},  # a field that goes
        {"address": "10.0.0.1", "ports": {"http": 80, "tcp": 90}, "weight": 2},
        {"address": "10.0.0.1", "ports": {}, "weight": 2},
    ],
)
def test_another_body_is_not_settled(spec: dict[str, Any]) -> None:
    assert not fields.settled(LIVE, {**BODY, "spec": spec})


def test_equal_values_that_somebody_else_applied_are_not_ours() -> None:
    theirs = copy.deepcopy(LIVE)
    theirs["metadata"]["managedFields"][0]["manager"] = "kubectl"
    assert not fields.settled(theirs, BODY)
    assert not fields.ours(theirs)


def test_what_others_added_does_not_matter() -> None:
    more = copy.deepcopy(LIVE)
    more["spec"]["network"] = "net-1"
    more["metadata"]["annotations"] = {"a": "b"}
    more["status"] = {"conditions": []}
    status = {"manager": "hybrid.mesh", "operation": "Apply", "subresource": "status"}
    more["metadata"]["managedFields"].append({**status, "fieldsV1": {"f:status": {}}})
    assert fields.settled(more, BODY)


def test_a_secrets_content_is_not_shown() -> None:
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque", "data": {"k": "v"}}
    assert fields.shown(secret) == {"metadata": {"name": "s"}, "type": "Opaque"}
    assert fields.shown(None) == {}


def test_what_kubectl_keeps_of_a_secret_is_not_shown() -> None:
    kept = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"key":"c2VjcmV0"}}'}
    secret = {"kind": "Secret", "metadata": {"name": "s", "annotations": kept}}
    assert fields.shown(secret) == {"metadata": {"name": "s"}}
