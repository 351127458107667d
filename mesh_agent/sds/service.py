# SPDX-License-Identifier: Apache-2.0
"""The SDS server: each stream gets the identity's secrets, now and whenever they change."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Mapping

from mesh_agent.identity.service import IdentityService
from mesh_agent.sds import secrets
from mesh_agent.sds.streams import DeltaStream, SotwStream
from mesh_core.wire import types
from mesh_core.wire.rpc import BytesStream, StreamHandler

log = logging.getLogger(__name__)

SDS_DELTA = types.SDS_STREAM.replace("StreamSecrets", "DeltaSecrets")


class _Event(enum.Enum):
    CHANGED = enum.auto()
    END = enum.auto()


class SecretService:
    """Answers Envoy's SDS streams. Before the first certificate they wait, which is no error."""

    def __init__(self, identity: IdentityService) -> None:
        self._identity = identity
        self._unknown: set[str] = set()

    def handlers(self) -> Mapping[str, StreamHandler]:
        """Return the streams to serve, by gRPC path."""
        return {types.SDS_STREAM: self._sotw, SDS_DELTA: self._delta}

    async def _sotw(self, stream: BytesStream) -> None:
        await self._serve(stream, SotwStream(self._secret, self._refused))

    async def _delta(self, stream: BytesStream) -> None:
        await self._serve(stream, DeltaStream(self._secret, self._refused))

    async def _serve(self, stream: BytesStream, state: SotwStream | DeltaStream) -> None:
        inbox: asyncio.Queue[bytes | _Event] = asyncio.Queue()

        async def read() -> None:
            async for request in stream:
                inbox.put_nowait(request)
            inbox.put_nowait(_Event.END)

        unsubscribe = self._identity.subscribe(lambda: inbox.put_nowait(_Event.CHANGED))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(read())
                while (event := await inbox.get()) is not _Event.END:
                    response = state.request(event) if isinstance(event, bytes) else state.changed()
                    if response:
                        await stream.send_message(response)
        finally:
            unsubscribe()

    def _secret(self, name: str) -> bytes | None:
        identity = self._identity.current
        if name not in secrets.NAMES:
            if name not in self._unknown:
                self._unknown.add(name)
                log.warning("Envoy asks for the secret %s, which this agent does not have", name)
            return None
        return secrets.build(name, identity) if identity else None

    def _refused(self, name: str, message: str) -> None:
        log.error("Envoy refuses the secret %s: %s", name, message)
