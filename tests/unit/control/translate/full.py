# SPDX-License-Identifier: Apache-2.0
"""The mesh of full.yaml."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from mesh_control.model import Document, MeshSnapshot, Protocol, Proxy, Resolution
from tests.unit.control.translate.builders import (
    API,
    CLIENT,
    DATABASE,
    DB,
    SERVER,
    WEB,
    document,
    endpoint,
    port,
    router,
    service,
    snapshot,
)

_GRPC = port("grpc", 9090, Protocol.GRPC)
_MANY = replace(
    API,
    ports=(*API.ports, _GRPC),
    endpoints=(
        *API.endpoints,
        endpoint("10.231.1.21", 9090, "grpc", "api", labels={"app": "api", "version": "v1"}),
    ),
)
_SECURE = service(
    "secure",
    "240.240.0.4",
    port("tls", 8443, Protocol.TLS),
    endpoint("10.231.1.41", 8443, "tls", "secure"),
)
_ISTIOD = replace(
    service("istiod", "240.240.0.5", port("tls", 15012, Protocol.TLS)),
    host="istiod.istio-system.svc.cluster.local",
    namespace="istio-system",
)
_BANK = replace(
    service("bank", "", port("https", 443, Protocol.HTTPS)),
    host="bank.example.com",
    registry="External",
    resolution=Resolution.DNS,
    external=True,
)
_ANYWHERE = replace(
    service("anywhere", "", port("tcp", 9999, Protocol.TCP)),
    host="anywhere.example.com",
    registry="External",
    resolution=Resolution.NONE,
    external=True,
)
SERVICES = (_MANY, WEB, DB, _SECURE, _ISTIOD, _BANK, _ANYWHERE)
PROXIES: tuple[Proxy, ...] = (
    CLIENT,
    SERVER,
    DATABASE,
    router("network-1", "network-2"),
    replace(SERVER, addresses=("10.231.1.21", "fd31:1::21")),
    replace(CLIENT, addresses=("fd31:1::11",)),
)


def full_documents() -> list[Document]:
    """All documents; MeshConfig is one among them."""
    text = (Path(__file__).parent / "full.yaml").read_text(encoding="utf-8")
    return [
        document(d["kind"], d["spec"], d.get("name", "mesh"), d.get("namespace", "shop"), created=i)
        for i, d in enumerate(yaml.safe_load_all(text))
    ]


def full_snapshot(documents: Iterable[Document]) -> MeshSnapshot:
    """The mesh with these documents."""
    documents = list(documents)
    mesh_config: Any = next((d.spec for d in documents if d.kind == "MeshConfig"), {})
    return snapshot(*documents, services=SERVICES, mesh_config=mesh_config)
