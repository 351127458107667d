# SPDX-License-Identifier: Apache-2.0
"""The registry: documents and registrations in, snapshots out."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh_control.model import Document, MeshSnapshot, Proxy, Workload
from mesh_control.objects.problems import Kind, Problem
from mesh_control.registry.addresses import allocate
from mesh_control.registry.build import build_services, given_addresses, hosts_without_address
from mesh_control.registry.endpoints import Surroundings
from mesh_control.registry.members import from_document
from mesh_control.registry.mesh_config import mesh_settings
from mesh_control.registry.registrations import Registrations
from mesh_control.registry.snapshot import make_snapshot
from mesh_control.registry.store import Store
from mesh_control.registry.stored import Registration
from mesh_core.clock import Clock
from mesh_core.identity import SpiffeId

log = logging.getLogger(__name__)

# How often grace periods are looked at and registrations written.
TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Of ``control.yaml``, as far as the registry needs it."""

    trust_domain: str = "cluster.local"
    auto_addresses: str = "240.240.0.0/16"
    grace_seconds: float = 10.0
    # After a restart every host has to find its way back first, some after a long back-off.
    restart_grace_seconds: float = 60.0
    domain: str = "cluster.local"  # of Kubernetes-style names
    name: str = "mesh-control"  # istio.io/workloadController of the entries


class Registry:
    """All that decides what proxies get. Used from one event loop, without blocking it.

    ``state`` is a directory of its own. `run` writes registrations there and ends grace periods.
    """

    def __init__(self, settings: RegistrySettings, state: Path, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._store = Store(state)
        self._network = ipaddress.ip_network(settings.auto_addresses)
        self._addresses = self._store.load_addresses()
        self._documents: tuple[Document, ...] = ()
        self._registrations = Registrations(
            clock,
            grace=settings.grace_seconds,
            restart_grace=max(settings.grace_seconds, settings.restart_grace_seconds),
            name=settings.name,
        )
        self._registrations.restore(self._store.load_entries())
        self._callbacks: list[Callable[[], None]] = []
        self._snapshot: MeshSnapshot | None = None
        self._ready = False
        self._problems: tuple[Problem, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether objects were read at all: before that, nobody should be answered."""
        return self._ready

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What the documents ask for and do not get, as of the last snapshot."""
        return self._problems

    @property
    def registrations(self) -> list[Registration]:
        """Who is registered, for the status. Not to be changed."""
        return self._registrations.all()

    def update_documents(self, documents: Sequence[Document]) -> None:
        """Replace all documents; WorkloadGroups take their entries along."""
        self._documents = tuple(documents)
        self._ready = True
        self._registrations.set_groups(d for d in documents if d.kind == "WorkloadGroup")
        self._allocate()
        self._changed()

    def register(self, proxy: Proxy, identity: SpiffeId, connection: str) -> Workload:
        """Register a proxy that names a WorkloadGroup; again for the same connection is harmless.

        Raises:
            RegistrationError: with the gRPC status to end the stream with.
            NodeError: the proxy's metadata is unreadable.
        """
        member, changed = self._registrations.register(proxy, identity, connection)
        if changed:
            self._changed()
        return member.workload

    def disconnected(self, connection: str) -> None:
        """End a connection, registered or not; its workload stays for the grace period."""
        self._registrations.disconnected(connection)

    def health(self, connection: str, healthy: bool, message: str = "") -> None:
        """Note what the host says of its application."""
        if self._registrations.report(connection, healthy=healthy, message=message):
            self._changed()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called when the snapshot may have changed; returns how to stop it.

        It is called at once, in the same task, for every change: gather bursts, then compare the
        versions of snapshots.
        """
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def snapshot(self) -> MeshSnapshot:
        """Return everything as it is now; the same object until something changes."""
        if self._snapshot is None:
            self._snapshot = self._build()
        return self._snapshot

    async def run(self) -> None:
        """End grace periods and keep the state directory up to date, for ever."""
        try:
            while True:
                await self._clock.sleep(TICK_SECONDS)
                self.expire()
                await self.save()
        finally:
            self._write(self._registrations.take_unsaved())

    def expire(self) -> None:
        """Remove workloads whose grace period is over."""
        if self._registrations.expire():
            self._changed()

    async def save(self) -> None:
        """Write what changed since the last time."""
        unsaved = self._registrations.take_unsaved()
        if unsaved and not await asyncio.to_thread(self._write, unsaved):
            self._registrations.not_saved(unsaved)

    def _write(self, entries: dict[str, dict[str, object] | None]) -> bool:
        try:
            self._store.save_entries(entries)
        except OSError as error:
            log.error("registrations were not written: %s", error)
            return False
        return True

    def _allocate(self) -> None:
        """Give addresses to new services, before anybody hears of them."""
        wanted = set(hosts_without_address(self._documents, self._settings.domain))
        reserved = set(given_addresses(self._documents))
        addresses = allocate(self._network, wanted, self._addresses, reserved)
        if addresses == self._addresses:
            return
        self._addresses = addresses
        try:
            self._store.save_addresses(addresses)
        except OSError as error:
            log.error("allocated addresses were not written: %s", error)

    def _build(self) -> MeshSnapshot:
        domain = self._settings.domain
        mesh = mesh_settings(self._documents, self._settings.trust_domain)
        entries = [from_document(d) for d in self._documents if d.kind == "WorkloadEntry"]
        members = {m.key: m for m in (*self._registrations.members(), *entries)}
        around = Surroundings.of(
            self._settings.trust_domain,
            domain,
            self._addresses,
            members.values(),
            (d for d in self._documents if d.kind == "WorkloadGroup"),
        )
        services, problems = build_services(self._documents, around)
        missing = set(hosts_without_address(self._documents, domain)) - self._addresses.keys()
        full = [
            Problem(host, f"no address is left in {self._network} for it", kind=Kind.ADVICE)
            for host in sorted(missing)
        ]
        self._report((*mesh.problems, *problems, *full))
        return make_snapshot(
            self._settings.trust_domain, self._documents, services, members.values(), mesh
        )

    def _report(self, problems: tuple[Problem, ...]) -> None:
        known = {str(problem) for problem in self._problems}
        for problem in problems:
            if str(problem) not in known:
                log.warning("%s", problem)
        self._problems = problems

    def _changed(self) -> None:
        self._snapshot = None
        for callback in list(self._callbacks):
            try:
                callback()
            except Exception:
                log.exception("a subscriber of the registry failed")
