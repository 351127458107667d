# SPDX-License-Identifier: Apache-2.0
"""The gRPC edge of the discovery service: one stream is one proxy."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_control.ads.admission import admit, as_status, identify
from mesh_control.ads.conversation import Conversation, decode
from mesh_control.ads.exchange import Exchange, Request
from mesh_control.ads.mesh import Mesh
from mesh_control.ads.messages import DELTA, STATE_OF_THE_WORLD, Dialect
from mesh_control.ads.metrics import DiscoveryMetrics
from mesh_control.ads.push import Debounce
from mesh_control.ads.sessions import Session, Sessions
from mesh_control.ads.translations import Translations, Translator
from mesh_control.model import Proxy
from mesh_control.registry.proxy import group_of
from mesh_control.web.metrics import Metrics
from mesh_core.clock import Clock
from mesh_core.identity import SpiffeId
from mesh_core.wire import types
from mesh_core.wire.rpc import BytesStream, peer_uris

log = logging.getLogger(__name__)


class DiscoveryServer:
    """Serves the mesh's configuration, and pushes when the mesh changes."""

    def __init__(
        self,
        mesh: Mesh,
        translator: Translator,
        *,
        trust_domain: str,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.sessions = Sessions()
        self._mesh = mesh
        self._trust_domain = trust_domain
        self._clock = clock
        self._metrics = DiscoveryMetrics(metrics, self.sessions)
        self._translations = Translations(mesh.snapshot, translator)
        self._debounce = Debounce(clock)
        self._opened = 0
        mesh.subscribe(self._debounce.changed)

    async def delta(self, stream: BytesStream) -> None:
        """Serve DeltaAggregatedResources."""
        await self._serve(stream, DELTA)

    async def state_of_the_world(self, stream: BytesStream) -> None:
        """Serve StreamAggregatedResources."""
        await self._serve(stream, STATE_OF_THE_WORLD)

    async def push(self) -> None:
        """Have the streams look at the mesh again after each change, for ever."""
        while True:
            changed_at = await self._debounce.settled()
            version = self._mesh.snapshot().version
            for session in self.sessions:
                if session.configuration.version != version:
                    session.refresh(changed_at)

    async def close(self, seconds: float) -> None:
        """End all streams, so that clients look for a control plane again; wait so long for it."""
        for session in self.sessions:
            session.end()
        try:
            async with asyncio.timeout(seconds):
                await self.sessions.none.wait()
        except TimeoutError:
            log.warning("%d streams did not end", len(self.sessions))

    async def _serve(self, stream: BytesStream, dialect: Dialect) -> None:
        address = _address(stream)
        try:
            identity = identify(peer_uris(stream), self._trust_domain)
            request = await _first(stream, dialect)
            proxy = admit(request.node, identity)
            with self._session(proxy, identity, address, dialect) as session:
                conversation = Conversation(
                    stream,
                    session,
                    dialect,
                    mesh=self._mesh,
                    translations=self._translations,
                    metrics=self._metrics,
                    clock=self._clock,
                )
                async with _until_expiry(stream, self._clock):
                    await conversation.run(request)
        except GRPCError as error:
            log.warning("stream of %s ended: %s", address, error.message)
            raise

    @contextmanager
    def _session(
        self, proxy: Proxy, identity: SpiffeId, address: str, dialect: Dialect
    ) -> Iterator[Session]:
        self._opened += 1
        session = Session(
            connection=f"{proxy.id}#{self._opened}",
            proxy=proxy,
            identity=identity,
            address=address,
            group=group_of(proxy),
            since=self._clock.now(),
            exchange=Exchange(incremental=dialect.incremental),
        )
        if session.group:
            with as_status():
                self._mesh.register(proxy, identity, session.connection)
        self.sessions.add(session)
        log.info("%s connected from %s as %s", proxy.id, address, identity)
        try:
            yield session
        finally:
            if self.sessions.remove(session):
                self._translations.forget(proxy.id)
            self._mesh.disconnected(session.connection)
            log.info("%s disconnected", proxy.id)


async def _first(stream: BytesStream, dialect: Dialect) -> Request:
    """Return the first request, which has a node. Health before it is ignored, as istiod does."""
    async for data in stream:
        request = decode(dialect, data)
        if request.type_url != types.HEALTH_INFORMATION:
            if not request.node.id:
                raise GRPCError(Status.INVALID_ARGUMENT, "the first request has no node")
            return request
    raise GRPCError(Status.INVALID_ARGUMENT, "the stream ended before its first request")


@asynccontextmanager
async def _until_expiry(stream: BytesStream, clock: Clock) -> AsyncIterator[None]:
    """End the stream with the certificate that opened it; the client comes with its newer one."""
    expiry = ssl.cert_time_to_seconds(stream.peer.cert()["notAfter"])
    limit = asyncio.timeout(expiry - clock.now().timestamp())
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise GRPCError(
            Status.UNAVAILABLE, "the certificate that opened this stream has expired"
        ) from error


def _address(stream: BytesStream) -> str:
    """Return the peer's IP address; IPv4 in its own form also on a socket for both families."""
    address = stream.peer.addr()
    return str(address[0]).removeprefix("::ffff:") if isinstance(address, tuple) else ""
