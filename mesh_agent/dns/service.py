# SPDX-License-Identifier: Apache-2.0
"""DNS of this host: the parts put together."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh_agent.dns import wire
from mesh_agent.dns.answers import Responder
from mesh_agent.dns.counters import Counters, Sample
from mesh_agent.dns.forward import Forwarder
from mesh_agent.dns.names import to_wire
from mesh_agent.dns.nametable import decode_name_table
from mesh_agent.dns.resolvconf import Upstream
from mesh_agent.dns.resolvfile import ResolvConfFile
from mesh_agent.dns.server import TcpServer, UdpServer
from mesh_agent.dns.settings import DnsSettings
from mesh_agent.dns.store import NameStore
from mesh_agent.dns.table import NameIndex, build_index
from mesh_core.clock import Clock, SystemClock
from mesh_core.errors import MeshError

log = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class DnsStatus:
    """``names`` hosts in the table, ``upstreams`` as text, ``ready`` when there is a table."""

    names: int
    upstreams: tuple[str, ...]
    ready: bool


class DnsService:
    """Answers on the sockets it is given while ``run`` runs.

    It forwards from the first moment on, also without a name table.
    """

    def __init__(
        self,
        settings: DnsSettings,
        sockets: Sequence[socket.socket],
        state: Path,
        *,
        namespace: str,
        domain: str = "cluster.local",
        clock: Clock | None = None,
    ) -> None:
        """Load what was stored, and the host's resolv.conf.

        ``sockets`` are bound UDP and TCP ones, ``state`` is the agent's state directory,
        ``namespace`` the workload's, ``domain`` the mesh's DNS domain.
        """
        self._settings = settings
        self._namespace, self._domain = namespace, domain
        self._clock = clock or SystemClock()
        self._counters = Counters()
        self._store = NameStore(state / "dns", self._clock)
        self._forwarder = Forwarder(
            timeout=settings.forward_timeout_seconds,
            limit=settings.max_forwards,
            counters=self._counters,
            clock=self._clock,
        )
        self._own = {_name_of(sock) for sock in sockets}
        self._udp = [
            UdpServer(sock, self._answer, self._resolve, self._counters)
            for sock in sockets
            if sock.type == socket.SOCK_DGRAM
        ]
        self._tcp = [
            TcpServer(
                sock,
                self._answer,
                self._resolve,
                idle_seconds=settings.tcp_idle_seconds,
                connections=settings.max_tcp_connections,
            )
            for sock in sockets
            if sock.type == socket.SOCK_STREAM
        ]
        self._index = NameIndex()
        self._table: bytes | None = None
        self._resolv_conf = ResolvConfFile(settings.resolv_conf)
        self._looked = self._clock.monotonic()
        self._resolv_conf.refresh()
        self._apply_resolv_conf()
        if (stored := self._store.load()) is not None:
            try:
                self._use(stored)
            except MeshError as error:
                log.warning("the stored %s", error)

    def update(self, name_table: bytes) -> None:
        """Serve a NameTable message from now on, and keep it for the next start.

        Raises MeshError when it cannot be read; then the previous one stays.
        """
        if name_table != self._table:
            self._use(name_table)
            self._store.keep(name_table)

    def status(self) -> DnsStatus:
        """Return what there is to tell."""
        self._look()
        upstreams = tuple(str(upstream) for upstream in self._forwarder.upstreams)
        return DnsStatus(self._index.hosts, upstreams, self._table is not None)

    def metrics(self) -> list[Sample]:
        """Return counters and gauges as (name, labels, value)."""
        return [*self._counters.samples(), ("mesh_agent_dns_names", {}, self._index.hosts)]

    async def run(self) -> None:
        """Serve until cancelled; then finish what was read. May be called again after its end."""
        try:
            for udp in self._udp:
                udp.start()
            for tcp in self._tcp:
                await tcp.start()
            await self._store.run()
        finally:
            await self._close()

    async def _close(self) -> None:
        grace = self._settings.forward_timeout_seconds
        closing = [udp.close(grace) for udp in self._udp] + [tcp.close(grace) for tcp in self._tcp]
        await asyncio.gather(*closing)
        await self._forwarder.close()
        self._store.flush()

    def _answer(self, query: bytes, datagram: bool) -> bytes | None:
        self._counters.requests += 1
        try:
            reply = self._responder.respond(query, datagram=datagram)
        except Exception:  # the next question is worth more than this one
            log.exception("DNS question %s", query.hex())
            reply = wire.failure(query, wire.SERVFAIL)
        if reply:
            self._counters.answered += 1
        elif reply is not None:
            self._counters.malformed += 1
        return reply

    async def _resolve(self, query: bytes, datagram: bool) -> bytes:
        answer: bytes | None = None
        try:
            # With another search domain it may be about the mesh.
            if self._look() and (answer := self._responder.respond(query, datagram=datagram)):
                self._counters.answered += 1
                return answer
            answer = await self._forwarder.resolve(query)
        except Exception:
            log.exception("DNS question %s", query.hex())
        if answer is None:
            self._counters.failed += 1
            return wire.failure(query, wire.SERVFAIL)
        self._counters.forwarded += 1
        return wire.cut_to_fit(query, answer) if datagram else answer

    def _use(self, name_table: bytes) -> None:
        index = build_index(
            decode_name_table(name_table), namespace=self._namespace, domain=self._domain
        )
        if index.skipped:
            log.warning(
                "%d names cannot stand in DNS, e.g. %r", len(index.skipped), index.skipped[0]
            )
        self._index, self._table = index, name_table
        self._apply_resolv_conf()

    def _look(self) -> bool:
        """Look at resolv.conf, unless that was a moment ago; return whether it says something new.

        It is looked at when somebody asks: an idle host is not woken for it, and unlike inotify
        that sees renames and links.
        """
        now = self._clock.monotonic()
        if now - self._looked < _LOOK_EVERY_SECONDS:
            return False
        self._looked = now
        changed = self._resolv_conf.refresh()
        if changed:
            self._apply_resolv_conf()
        return changed

    def _apply_resolv_conf(self) -> None:
        settings = self._settings
        upstreams = (
            tuple(Upstream.parse(text) for text in settings.upstreams)
            or self._resolv_conf.current.upstreams()
        )
        upstreams = tuple(u for u in upstreams if (u.address, u.port) not in self._own)
        if upstreams != self._forwarder.upstreams:
            log.info("names outside the mesh are asked of %s", ", ".join(map(str, upstreams)))
        self._forwarder.upstreams = upstreams
        search = settings.search_domain or next(iter(self._resolv_conf.current.search), None)
        try:
            suffix = to_wire(search) if search else None
        except ValueError:
            suffix = None
        self._responder = Responder(self._index, suffix)


def _name_of(sock: socket.socket) -> tuple[str, int]:
    name = sock.getsockname()
    return str(name[0]), int(name[1])
