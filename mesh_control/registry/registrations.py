# SPDX-License-Identifier: Apache-2.0
"""Auto-registered workloads: their connections, health and grace periods. State, without I/O."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mesh_control.model import Document, Proxy
from mesh_control.objects.validate import suggestion
from mesh_control.registry.errors import RegistrationError
from mesh_control.registry.members import (
    Member,
    Node,
    entry_name,
    from_registration,
    group_labels,
)
from mesh_control.registry.proxy import group_of
from mesh_control.registry.stored import Registration, to_object
from mesh_core.clock import Clock
from mesh_core.identity import SpiffeId

log = logging.getLogger(__name__)


class Registrations:
    """Who is registered, by ``namespace/name``.

    Each operation tells whether the workloads, as peers see them, have changed. A registration
    whose WorkloadGroup is gone is no workload; it is one again when the group is back while the
    connection still stands. A group's new service account holds for new connections: an entry
    keeps the account that its host proved.
    """

    def __init__(self, clock: Clock, *, grace: float, restart_grace: float, name: str) -> None:
        self._clock = clock
        self._grace = grace
        self._restart_grace = restart_grace
        self._controller = name
        self._groups: Mapping[str, Document] | None = None
        self._all: dict[str, Registration] = {}
        self._by_connection: dict[str, Registration] = {}
        self._unsaved: set[str] = set()

    def restore(self, registrations: Iterable[Registration]) -> None:
        """Take over those of the last run; they stay for the restart grace unless they connect."""
        deadline = self._clock.monotonic() + self._restart_grace
        for registration in registrations:
            registration.deadline = deadline
            self._all[registration.key] = registration

    def set_groups(self, groups: Iterable[Document]) -> None:
        """Use these WorkloadGroups from now on; what has neither group nor connection goes."""
        self._groups = {f"{group.namespace}/{group.name}": group for group in groups}
        self._unsaved |= self._all.keys()
        for registration in list(self._all.values()):
            if self._group(registration) is None and not registration.connections:
                log.info("%s is removed with its WorkloadGroup", registration.key)
                del self._all[registration.key]

    def register(self, proxy: Proxy, identity: SpiffeId, connection: str) -> tuple[Member, bool]:
        """Register a connected proxy; tell whether that changed anything for its peers.

        Raises:
            RegistrationError: no such WorkloadGroup, or the certificate is not for it.
            NodeError: the proxy's metadata is unreadable.
        """
        group = self._wanted_group(proxy)
        _verify(proxy, identity, group)
        node = Node.of(proxy, identity)
        name = entry_name(group.name, node)
        key = f"{group.namespace}/{name}"
        old = self._all.get(key)
        before = self._member(old) if old else None
        if self._by_connection.get(connection) not in (None, old):
            self.disconnected(connection)
        registration = old or Registration(
            group.namespace, name, group.name, node, self._clock.now()
        )
        if not registration.connections:
            registration.connected_at = self._clock.now()
            log.info("%s (%s) is registered with WorkloadGroup %s", key, proxy.name, group.name)
            _say_overrides(key, group, node)
        registration.node = node
        registration.disconnected_at = registration.deadline = None
        registration.connections.add(connection)
        self._all[key] = self._by_connection[connection] = registration
        self._unsaved.add(key)
        member = from_registration(name, group, node, healthy=registration.healthy)
        return member, member != before

    def disconnected(self, connection: str) -> None:
        """End a connection; with the last one of a workload its grace period begins."""
        registration = self._by_connection.pop(connection, None)
        if registration is None:
            return
        registration.connections.discard(connection)
        if not registration.connections:
            registration.disconnected_at = self._clock.now()
            registration.deadline = self._clock.monotonic() + self._grace
            self._unsaved.add(registration.key)

    def report(self, connection: str, *, healthy: bool, message: str) -> bool:
        """Note a health report; reports of proxies that are not registered have no effect."""
        registration = self._by_connection.get(connection)
        if registration is None:
            return False
        before = self._member(registration)
        if registration.healthy is not healthy:
            state = "healthy" if healthy else f"unhealthy: {message}"
            log.info("%s is %s", registration.key, state)
        registration.healthy, registration.message = healthy, message
        self._unsaved.add(registration.key)
        return self._member(registration) != before

    def expire(self) -> bool:
        """Remove those whose grace period is over."""
        now = self._clock.monotonic()
        gone = [r for r in self._all.values() if r.deadline is not None and r.deadline <= now]
        for registration in gone:
            log.info("%s is removed: it did not come back", registration.key)
            del self._all[registration.key]
            self._unsaved.add(registration.key)
        return bool(gone)

    def members(self) -> list[Member]:
        """Return the workloads, unhealthy ones too."""
        found = [self._member(registration) for registration in self._all.values()]
        return [member for member in found if member is not None]

    def all(self) -> list[Registration]:
        """Return the registrations by key, for the status."""
        return [self._all[key] for key in sorted(self._all)]

    def take_unsaved(self) -> dict[str, dict[str, Any] | None]:
        """Return the entries that changed since the last call; None for one that is gone."""
        keys, self._unsaved = sorted(self._unsaved), set()
        return {key: self._object(self._all.get(key)) for key in keys}

    def not_saved(self, keys: Iterable[str]) -> None:
        """Have these returned again by `take_unsaved`."""
        self._unsaved |= set(keys)

    def _wanted_group(self, proxy: Proxy) -> Document:
        name = group_of(proxy)
        if not name:
            raise RegistrationError(
                f"{proxy.id}: the node names no WorkloadGroup (metadata AUTO_REGISTER_GROUP)",
                "INVALID_ARGUMENT",
            )
        if self._groups is None:
            raise RegistrationError("the objects are not read yet", "UNAVAILABLE")
        group = self._groups.get(f"{proxy.namespace}/{name}")
        if group is None:
            known = [g.name for g in self._groups.values() if g.namespace == proxy.namespace]
            hint = suggestion(name, known)
            raise RegistrationError(f"cannot find WorkloadGroup {proxy.namespace}/{name}{hint}")
        return group

    def _group(self, registration: Registration) -> Document | None:
        groups = self._groups or {}
        return groups.get(f"{registration.namespace}/{registration.group}")

    def _member(self, registration: Registration) -> Member | None:
        group = self._group(registration)
        if group is None:
            return None
        return from_registration(
            registration.name, group, registration.node, healthy=registration.healthy
        )

    def _object(self, registration: Registration | None) -> dict[str, Any] | None:
        group = self._group(registration) if registration else None
        member = self._member(registration) if registration else None
        if registration is None or group is None or member is None:
            return None
        probed = registration.node.probes or "probe" in group.spec
        workload = member.workload
        return to_object(registration, workload, controller=self._controller, probed=probed)


def _verify(proxy: Proxy, identity: SpiffeId, group: Document) -> None:
    """Compare certificate and WorkloadGroup: an entry speaks for its service account."""
    template: Any = group.spec["template"]
    wanted = template.get("serviceAccount", "")
    where = f"certificate of {identity}, WorkloadGroup {group.namespace}/{group.name}"
    problem = 'registration of WorkloadEntry {} mismatch: "{}" vs "{}" ({})'
    if identity.namespace != proxy.namespace:
        text = problem.format("namespace", identity.namespace, proxy.namespace, where)
        raise RegistrationError(text, "PERMISSION_DENIED")
    if wanted and identity.service_account != wanted:
        text = problem.format("service account", identity.service_account, wanted, where)
        raise RegistrationError(text, "PERMISSION_DENIED")


def _say_overrides(key: str, group: Document, node: Node) -> None:
    """Log labels of the host that hide the group's: a Service may select it no more."""
    for label, value in group_labels(group).items():
        own = node.labels.get(label, value)
        if own != value:
            log.warning(
                "%s: label %s=%s of the host hides %s=%s of WorkloadGroup %s (%s)",
                key,
                label,
                own,
                label,
                value,
                group.name,
                group.where,
            )
