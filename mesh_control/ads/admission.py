# SPDX-License-Identifier: Apache-2.0
"""Who may open a stream: a verified certificate whose identity is the one that the node claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_control.ads.exchange import Node
from mesh_control.ca.caller import AuthenticationError, of_certificate
from mesh_control.model import Proxy
from mesh_control.registry.proxy import proxy_from_node
from mesh_core.errors import MeshError
from mesh_core.identity import SpiffeId


def identify(uris: Sequence[str], trust_domain: str) -> SpiffeId:
    """Return the caller's identity; GRPCError UNAUTHENTICATED without one."""
    try:
        return of_certificate(uris, trust_domain)
    except AuthenticationError as error:
        raise GRPCError(
            Status.UNAUTHENTICATED, f"{error}: expected a certificate of this mesh"
        ) from error


def admit(node: Node, identity: SpiffeId) -> Proxy:
    """Return who the node is, with its proved service account.

    GRPCError: INVALID_ARGUMENT when the node is unreadable, PERMISSION_DENIED, naming both sides,
    when it claims another identity than its certificate's.
    """
    with as_status():
        proxy = proxy_from_node(node.id, node.metadata)
    claims = (
        ("NAMESPACE", proxy.namespace, identity.namespace),
        ("SERVICE_ACCOUNT", proxy.service_account, identity.service_account),
    )
    for key, claimed, proved in claims:
        # A node need not name its service account, as for istiod.
        if claimed not in ("", proved):
            raise GRPCError(
                Status.PERMISSION_DENIED,
                f"identity mismatch: node {proxy.id} has {key} {claimed!r}, "
                f"its certificate {proved!r} ({identity})",
            )
    return replace(proxy, service_account=identity.service_account)


@contextmanager
def as_status() -> Iterator[None]:
    """Turn an error of the registry into the gRPC status that it carries."""
    try:
        yield
    except MeshError as error:
        status = Status[getattr(error, "status", "INTERNAL")]
        raise GRPCError(status, str(error)) from error
