# SPDX-License-Identifier: Apache-2.0
"""gRPC: the standard health service, grpc.health.v1.Health/Check, in plaintext."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from typing import Any

from grpclib.client import Channel
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from grpclib.health.v1.health_grpc import HealthStub
from grpclib.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from mesh_agent.health.connect import connect
from mesh_agent.health.result import Unhealthy
from mesh_agent.health.settings import Grpc
from mesh_core.wire import rpc


async def probe_grpc(settings: Grpc, host: str, own_addresses: Collection[str]) -> None:
    """Ask for the service's health; only SERVING is well."""
    where = f"gRPC health of {settings.service or 'the server'} on port {settings.port}"
    channel = _Channel(await connect(host, settings.port, own_addresses), host, settings.port)
    try:
        with rpc.awake():
            answer = await HealthStub(channel).Check(HealthCheckRequest(service=settings.service))
    except GRPCError as error:
        raise Unhealthy(f"{where}: {error.status.name} {error.message or ''}".rstrip()) from error
    except (ProtocolError, StreamTerminatedError) as error:
        raise Unhealthy(f"{where}: {error}") from error
    finally:
        channel.close()
    if answer.status != HealthCheckResponse.SERVING:
        raise Unhealthy(f"{where}: {HealthCheckResponse.ServingStatus.Name(answer.status)}")


class _Channel(Channel):  # type: ignore[misc]  # grpclib is not typed as we check it
    """A channel over a connection that was made already, as grpclib takes no source address."""

    def __init__(self, sock: socket.socket, host: str, port: int) -> None:
        """``host`` and ``port`` are what the server is told that it is called."""
        super().__init__(host, port)
        self._probe_socket: socket.socket | None = sock

    async def _create_connection(self) -> Any:
        sock, self._probe_socket = self._probe_socket, None
        if sock is None:
            raise ConnectionResetError("the server closed the connection")
        loop = asyncio.get_running_loop()
        _unused, protocol = await loop.create_connection(self._protocol_factory, sock=sock)
        return protocol

    def close(self) -> None:
        """Close it, also when it was never used."""
        super().close()
        if self._probe_socket is not None:
            self._probe_socket.close()
