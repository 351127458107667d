# SPDX-License-Identifier: Apache-2.0
"""The mesh that both agents join: a real API server and istiod, and services by the thousand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.cluster import ApiServer, Istiod

NAMESPACE, ACCOUNT, GROUP = "bench", "app", "app"
FIRST_NAME = f"first.{NAMESPACE}.svc.cluster.local"
_APPLY_SECONDS = 180.0

# What the released Envoy lacks, switched off at the source: pilot-agent passes all on as it is.
_ENVIRONMENT = {
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_WORKLOAD_ENTRY_GRACE_PERIOD": "2s",
}


@dataclass(frozen=True, slots=True)
class Mesh:
    """A running control plane."""

    api: ApiServer
    istiod: Istiod

    def token(self) -> str:
        """A token that istiod takes."""
        return self.api.token(NAMESPACE, ACCOUNT)

    def add_services(self, count: int) -> dict[str, str]:
        """Make ClusterIP services; return host name -> address."""
        documents = [_service(f"svc{number}") for number in range(count)]
        listing = {"apiVersion": "v1", "kind": "List", "items": documents}
        done = self.api.kubectl(
            *("create", "-f", "-", "--output", "json"),
            stdin=json.dumps(listing),
            timeout=_APPLY_SECONDS,
        )
        return {
            f"{each['metadata']['name']}.{NAMESPACE}.svc.cluster.local": each["spec"]["clusterIP"]
            for each in _documents(done)
        }


@contextmanager
def running(directory: Path) -> Iterator[Mesh]:
    """Start both, with one service and a group for the host."""
    with (
        ApiServer(directory / "api") as api,
        Istiod(api, directory / "istiod", environment=_ENVIRONMENT) as istiod,
    ):
        api.namespace(NAMESPACE, ACCOUNT)
        api.apply(
            [
                _service("first"),
                {
                    "apiVersion": "networking.istio.io/v1",
                    "kind": "WorkloadGroup",
                    "metadata": {"name": GROUP, "namespace": NAMESPACE},
                    "spec": {"template": {"serviceAccount": ACCOUNT}},
                },
            ]
        )
        yield Mesh(api, istiod)


def _service(name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    }


def _documents(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text.rstrip()):
        found, at = decoder.raw_decode(text, at)
        yield from found["items"] if found["kind"] == "List" else [found]
        while at < len(text) and text[at].isspace():
            at += 1
