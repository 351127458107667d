# SPDX-License-Identifier: Apache-2.0
"""Connections to the control plane, and their errors in plain words."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from grpclib.client import Channel
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from mesh_agent.identity.model import Identity, IdentityError
from mesh_agent.identity.settings import ControlPlaneSettings, Endpoint
from mesh_core.wire import rpc

# What a call over such a channel raises when the other side or the way to it is at fault.
CALL_ERRORS = (GRPCError, ProtocolError, StreamTerminatedError, OSError, TimeoutError)


@asynccontextmanager
async def dial(
    settings: ControlPlaneSettings, endpoint: Endpoint, identity: Identity | None
) -> AsyncIterator[Channel]:
    """Yield a channel to ``endpoint``: mutual TLS with ``identity``, plain TLS without.

    Roots, certificate and key are read now, so that what changed on disk counts. It connects at
    the first call. IdentityError when a file cannot be used.
    """
    try:
        context = rpc.client_tls(
            settings.root_certificate,
            certificate=identity.chain_path if identity else None,
            key=identity.key_path if identity else None,
        )
    except OSError as error:
        files = f"{settings.root_certificate}{f' and {identity.directory}' if identity else ''}"
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise IdentityError(f"{files}: expected readable PEM certificates: {reason}") from error
    channel = rpc.tls_channel(endpoint.host, endpoint.port, context, settings.server_name)
    try:
        yield channel
    finally:
        channel.close()


def explain(error: BaseException, settings: ControlPlaneSettings, endpoint: Endpoint) -> str:
    """Say what went wrong with a call to ``endpoint``."""
    match error:
        case GRPCError():
            problem = f"answered {error.status.name}: {error.message or 'no reason given'}"
        case ssl.SSLCertVerificationError():
            problem = (
                f"its certificate is not accepted: {error.verify_message} "
                f"(expected the name {settings.server_name} and an authority "
                f"in {settings.root_certificate})"
            )
        case ssl.SSLError():
            problem = f"TLS failed: {error.reason or error}"
        case TimeoutError():
            problem = "no answer in time"
        case socket.gaierror():
            problem = f"its name cannot be resolved: {error.strerror}"
        case OSError():
            # Asyncio's own text would name the address again.
            reason = os.strerror(error.errno) if error.errno else str(error)
            problem = f"cannot be reached: {reason}"
        case StreamTerminatedError():
            problem = f"the connection was lost: {error}"
        case _:
            problem = str(error) or type(error).__name__
    return f"control plane {endpoint}: {problem}"
