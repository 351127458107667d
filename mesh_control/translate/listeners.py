# SPDX-License-Identifier: Apache-2.0
"""Listeners, in the families that the proxy has."""

from __future__ import annotations

from collections.abc import Sequence

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2

from mesh_control.model import Proxy
from mesh_control.translate import names
from mesh_control.translate.filters import tcp_proxy
from mesh_control.translate.wire import socket_address, u32


def any_addresses(proxy: Proxy) -> list[str]:
    """Return the addresses that stand for all of the proxy's: what it cannot bind is left out."""
    return ([names.ANY_V4] if proxy.ipv4 else []) + ([names.ANY_V6] if proxy.ipv6 else [])


def listener(
    name: str,
    proxy: Proxy,
    port: int,
    chains: Sequence[listener_components_pb2.FilterChain],
    addresses: Sequence[str] = (),
) -> listener_pb2.Listener:
    """Return a listener on ``addresses`` (empty: all of the proxy's), the first one named so."""
    first, *others = addresses or any_addresses(proxy)
    return listener_pb2.Listener(
        name=name,
        address=socket_address(first, port),
        additional_addresses=[
            listener_pb2.AdditionalAddress(address=socket_address(other, port)) for other in others
        ],
        filter_chains=chains,
    )


def black_hole_chain(port: int) -> listener_components_pb2.FilterChain:
    """Return the chain for calls of the listener's own port, which would come back for ever."""
    return listener_components_pb2.FilterChain(
        name="blackhole",
        filter_chain_match=listener_components_pb2.FilterChainMatch(destination_port=u32(port)),
        filters=[tcp_proxy({names.BLACK_HOLE: 1}, [])],
    )
