# SPDX-License-Identifier: Apache-2.0
"""The composition root: makes the parts of settings, and runs them until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, closing
from functools import partial

from mesh_control.ads.server import DiscoveryServer
from mesh_control.ca.service import CertificateService
from mesh_control.ca.serving import ServingCertificate
from mesh_control.ca.spent import SpentTokens
from mesh_control.ca.tokens import Tokens, open_key
from mesh_control.model import Document
from mesh_control.objects.problems import Problem
from mesh_control.registry.registry import Registry, RegistrySettings
from mesh_control.settings import Address, Settings
from mesh_control.sources.files import FileSource
from mesh_control.translate import SUPPORTED, Translator, problems
from mesh_control.web.metrics import Metrics
from mesh_control.web.overview import Overview
from mesh_control.web.page import Page
from mesh_control.web.watchdog import feed_watchdog
from mesh_core import __version__
from mesh_core.clock import Clock, SystemClock
from mesh_core.errors import MeshError
from mesh_core.http import HttpServer
from mesh_core.pki import Authority
from mesh_core.supervise import supervise
from mesh_core.systemd import notify, watchdog_seconds
from mesh_core.wire import types
from mesh_core.wire.rpc import server

log = logging.getLogger(__name__)

# How long streams may take to end when the process stops.
_STOP_SECONDS = 2.0
# All hosts may come at once, after a restart.
_BACKLOG = 1024


class ControlPlane:
    """All parts, made and not yet running.

    MeshError or OSError when the state directory is not usable.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock = clock or SystemClock()
        state, trust_domain = settings.state, settings.trust_domain
        metrics = Metrics()
        authority = Authority.open(state / "ca", trust_domain, clock)
        self._serving = ServingCertificate(
            authority,
            state / "tls/serving.pem",
            root=state / "ca/root-cert.pem",
            dns=settings.server_dns,
            ips=settings.server_ips,
            clock=clock,
        )
        self._certificates = CertificateService(
            authority,
            Tokens(
                open_key(state / "tokens/key.pem"),
                audience=settings.tokens.audience,
                trust_domain=trust_domain,
                lifetime=settings.tokens.lifetime,
                clock=clock,
            ),
            SpentTokens.open(state / "tokens/used.jsonl", clock),
            settings.certificates,
            trust_domain,
            metrics,
        )
        self._source = FileSource(
            settings.objects, SUPPORTED, clock, reader=problems, last_good=state / "objects"
        )
        self._registry = Registry(
            RegistrySettings(
                trust_domain=trust_domain,
                auto_addresses=settings.auto_addresses,
                grace_seconds=settings.registration.grace_seconds,
            ),
            state / "registry",
            clock,
        )
        self._discovery = DiscoveryServer(
            self._registry,
            lambda snapshot: Translator(snapshot).resources,
            trust_domain=trust_domain,
            clock=clock,
            metrics=metrics,
        )
        overview = Overview(
            trust_domain=trust_domain,
            cluster_id=settings.cluster_id,
            since=clock.now(),
            documents=lambda: self._documents,
            problems=self._problems,
            snapshot=self._registry.snapshot,
            sessions=self._discovery.sessions,
            certificates=self._certificates,
            serving=self._serving,
            authority=authority,
        )
        overview.add_gauges(metrics)
        page = Page(status=overview.status, metrics=metrics, ailments=self._ailments)
        self._web = HttpServer(page.answer)
        self._documents: tuple[Document, ...] = ()
        self._objects_read = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._reloading = False
        self._background: list[asyncio.Task[None]] = []
        self.xds_port = 0
        self.status_port = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop``; MeshError when an address cannot be listened on.

        Listens only when the objects were read, so that no host is given an empty mesh.
        """
        try:
            async with asyncio.TaskGroup() as tasks, self._tasks(tasks):
                await self._objects_read.wait()
                async with self._listening():
                    self._start_watchdog(tasks)
                    notify("READY=1", f"STATUS=serving {self._settings.trust_domain}")
                    log.info("mesh-control %s serves %s", __version__, self._settings.listen.xds)
                    await stop.wait()
                    notify("STOPPING=1")
                    log.info("stopping")
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    def reload(self) -> None:
        """Read the objects again now, not at the next look at their directory."""
        log.info("reading the objects again")
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._reloading = True
        if self._following:
            self._following.cancel()

    @asynccontextmanager
    async def _tasks(self, tasks: asyncio.TaskGroup) -> AsyncIterator[None]:
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "objects": self._watch,
            "registry": self._registry.run,
            "push": self._discovery.push,
            "serving certificate": self._serving.keep,
        }
        self._background = [self._start(tasks, name, part) for name, part in parts.items()]
        try:
            yield
        finally:
            for task in self._background:
                task.cancel()

    def _start(
        self, tasks: asyncio.TaskGroup, name: str, part: Callable[[], Awaitable[None]]
    ) -> asyncio.Task[None]:
        return tasks.create_task(supervise(name, part, clock=self._clock), name=name)

    def _start_watchdog(self, tasks: asyncio.TaskGroup) -> None:
        period = watchdog_seconds()
        if period:
            host = Address.parse(self._settings.listen.status).host
            watchdog = partial(feed_watchdog, period / 3, self._clock, host, self.status_port)
            self._background.append(self._start(tasks, "watchdog", watchdog))

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        grpc = server(
            streams={
                types.ADS_DELTA: self._discovery.delta,
                types.ADS_STREAM: self._discovery.state_of_the_world,
            },
            unary={types.CREATE_CERTIFICATE: self._certificates.create_certificate},
        )
        listen = self._settings.listen
        with (
            closing(_listen("listen.status", listen.status)) as web,
            closing(_listen("listen.xds", listen.xds)) as xds,
        ):
            self.status_port, self.xds_port = web.getsockname()[1], xds.getsockname()[1]
            await self._web.start(sock=web)
            await grpc.start(sock=xds, ssl=self._serving.context, backlog=_BACKLOG)
            try:
                yield
            finally:
                await self._discovery.close(_STOP_SECONDS)
                grpc.close()
                await grpc.wait_closed()
                await self._web.close()

    async def _watch(self) -> None:
        """Follow the objects, from the start again after each `reload`."""
        while True:
            async with asyncio.TaskGroup() as tasks:
                self._following = tasks.create_task(self._follow())

    async def _follow(self) -> None:
        async with aclosing(self._source.watch()) as changes:
            async for documents in changes:
                self._documents = documents
                self._registry.update_documents(documents)
                self._objects_read.set()
                log.info("%d objects in force", len(documents))
                if self._reloading:
                    self._reloading = False
                    notify("READY=1")

    def _problems(self) -> tuple[Problem, ...]:
        return (*self._source.problems, *self._registry.problems)

    def _ailments(self) -> list[str]:
        return [f"{task.get_name()} has ended" for task in self._background if task.done()]


def _listen(setting: str, text: str) -> socket.socket:
    """Return a listening socket; ``[::]`` takes IPv4 as well. MeshError names the setting."""
    address = Address.parse(text)
    try:
        return socket.create_server(
            (address.host, address.port),
            family=socket.AF_INET6 if ":" in address.host else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=address.host == "::",
        )
    except OSError as error:
        raise MeshError(f"{setting}: cannot listen on {address}: {error.strerror}") from error
