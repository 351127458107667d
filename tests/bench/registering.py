# SPDX-License-Identifier: Apache-2.0
"""The ways to put WorkloadEntries into a cluster, each as a pass that can be made again."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lab.cluster import ApiServer
from lab.errors import LabError
from lab.tools import tool
from tests.bench.playbook import Task

ENTRIES = 1000
CONNECTIONS = 16

# Makes the entries, again at each call, and returns how many seconds that took.
Pass = Callable[[], float]

_SECONDS = 600


def document(number: int, namespace: str) -> dict[str, Any]:
    """The WorkloadEntry that every contestant makes."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {
            "name": f"app-{number}",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "hybrid.mesh"},
        },
        "spec": {
            "address": f"10.{number // 65536}.{number // 256 % 256}.{number % 256}",
            "ports": {"http": 8080},
            "labels": {"app": "app", "version": "v1"},
            "network": "net-1",
            "serviceAccount": "app",
        },
    }


def entry(number: int) -> dict[str, Any]:
    """The same as an option of workload_entry."""
    spec = document(number, "")["spec"]
    return {
        "name": f"app-{number}",
        "address": spec["address"],
        "ports": [{"name": "http", "port": 8080}],
        "labels": spec["labels"],
        "network": spec["network"],
        "service_account": spec["serviceAccount"],
    }


def raw(api: ApiServer, namespace: str, _scratch: Path) -> Pass:
    """Server-side applies and nothing else, over connections that are kept."""
    context = ssl.create_default_context(cafile=str(api.certificate_authority))
    user = yaml.safe_load(api.kubeconfig.read_text())["users"][0]["user"]
    _load_client(context, user)
    path = f"/apis/networking.istio.io/v1/namespaces/{namespace}/workloadentries"
    headers = {"Content-Type": "application/apply-patch+yaml"}

    def once() -> float:
        numbers = iter(range(ENTRIES))
        lock = threading.Lock()
        refused: list[str] = []

        def work() -> None:
            connection = http.client.HTTPSConnection(api.address, api.port, context=context)
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return connection.close()
                body = json.dumps(document(number, namespace))
                url = f"{path}/app-{number}?fieldManager=hybrid.mesh&force=false"
                connection.request("PATCH", url, body, headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status not in (200, 201):
                    refused.append(text.decode())

        threads = [threading.Thread(target=work) for _number in range(CONNECTIONS)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if refused:
            raise LabError(refused[0])
        return time.monotonic() - began

    return once


def _load_client(context: ssl.SSLContext, user: dict[str, str]) -> None:
    with tempfile.NamedTemporaryFile() as pem:
        for key in ("client-certificate-data", "client-key-data"):
            pem.write(base64.b64decode(user[key]))
        pem.flush()
        context.load_cert_chain(pem.name)


def kubectl(api: ApiServer, namespace: str, directory: Path) -> Pass:
    """kubectl apply --server-side with all of them in one file."""
    file = directory / f"{namespace}.json"
    items = [document(number, namespace) for number in range(ENTRIES)]
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    access = ["--kubeconfig", str(api.kubeconfig)]
    command = [str(tool("kubectl")), *access, "apply", "--server-side", "-f", str(file)]

    def once() -> float:
        began = time.monotonic()
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        if done.returncode:
            raise LabError(f"kubectl: {done.stderr.strip()}")
        return time.monotonic() - began

    return once


def ours(api: ApiServer, namespace: str, tree: Path) -> Pass:
    """One task of workload_entry."""
    return our_task(api, namespace, tree).seconds


def our_task(api: ApiServer, namespace: str, tree: Path) -> Task:
    options = {
        "kubeconfig": str(api.kubeconfig),
        "namespace": namespace,
        "entries": [entry(number) for number in range(ENTRIES)],
    }
    return Task("hybrid.mesh.workload_entry", options, tree)


def core(api: ApiServer, namespace: str, tree: Path) -> Pass:
    """One task of kubernetes.core.k8s with all of them."""
    options = {
        "kubeconfig": str(api.kubeconfig),
        "apply": True,
        "resource_definition": [document(number, namespace) for number in range(ENTRIES)],
    }
    return Task("kubernetes.core.k8s", options, tree).seconds
