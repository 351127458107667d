# SPDX-License-Identifier: Apache-2.0
"""Kubeconfig files. Pure."""

from __future__ import annotations

import base64

import yaml

from lab.cluster.pki import Pair


def with_certificate(cluster: str, url: str, authority: bytes, pair: Pair) -> str:
    """A kubeconfig whose user proves itself by a client certificate; the context is `cluster`."""
    server = {"server": url, "certificate-authority-data": _base64(authority)}
    user = {
        "client-certificate-data": _base64(pair.certificate),
        "client-key-data": _base64(pair.key),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster,
        "clusters": [{"name": cluster, "cluster": server}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": "user"}}],
        "users": [{"name": "user", "user": user}],
    }
    return yaml.safe_dump(document, sort_keys=False)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
