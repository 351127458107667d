# SPDX-License-Identifier: Apache-2.0
"""Puts a mesh into the cluster of a new lab, as `istioctl install` would."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from lab.cluster import chart
from lab.errors import LabError
from lab.istio import manifest
from lab.spec import Cluster, Host
from lab.tools import tool

READY_SECONDS = 60
# Who site.yml is to the cluster, with no more rights than the collection says it needs.
OPERATOR = "hybrid-mesh"
_ROLES = Path(__file__).parents[2] / "roles" / "cluster" / "files"
_CONTROL_PLANE, _WORKLOADS = "hybrid-mesh-control-plane", "hybrid-mesh-workloads"


def install(host: Host, cluster: Cluster, kubeconfig: Path) -> None:
    """Applies Istio and the operator's rights; returns once istiod gives out its root."""
    documents = manifest.installed(chart.render(manifest.settings(cluster)))
    definitions = chart.of_kinds(documents, "CustomResourceDefinition")
    (service,) = chart.of_kinds(documents, "Service")
    rest = [document for document in documents if document not in definitions]
    rest.append(manifest.istiod_slice(host, service))
    rest += [yaml.safe_load(file.read_text()) for file in sorted(_ROLES.glob("*.yaml"))]
    rest += manifest.bindings(cluster, OPERATOR, _CONTROL_PLANE, _WORKLOADS)
    _apply(kubeconfig, [*manifest.namespaces(cluster), *definitions])
    _apply(kubeconfig, rest)
    _wait_for_root(cluster, kubeconfig)


def _apply(kubeconfig: Path, documents: list[dict[str, Any]]) -> None:
    listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    _kubectl(kubeconfig, "apply", "--server-side", "--filename=-", text=listing)


def _wait_for_root(cluster: Cluster, kubeconfig: Path) -> None:
    """istiod writes its root certificate into every namespace: the sign that it works."""
    deadline = time.monotonic() + READY_SECONDS
    for namespace in (manifest.NAMESPACE, *cluster.namespaces):
        name = f"configmap/istio-ca-root-cert in {namespace}"
        while not _kubectl(
            kubeconfig,
            "get",
            "configmap",
            "istio-ca-root-cert",
            f"--namespace={namespace}",
            "--ignore-not-found",
            "--output=name",
        ):
            if time.monotonic() > deadline:
                raise LabError(f"istiod made no {name} within {READY_SECONDS} s")
            time.sleep(0.25)


def _kubectl(kubeconfig: Path, *arguments: str, text: str = "") -> str:
    done = subprocess.run(
        [str(tool("kubectl")), f"--kubeconfig={kubeconfig}", *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise LabError(f"kubectl {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
