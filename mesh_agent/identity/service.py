# SPDX-License-Identifier: Apache-2.0
"""The identity's own timer: a certificate at boot, a new one long before the old one ends.

Nobody needs to ask for renewal: it runs whether Envoy is connected or not.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final, Protocol

from mesh_agent.identity.client import SigningError
from mesh_agent.identity.keys import KeyWorker
from mesh_agent.identity.model import Identity, IdentityError, IdentityState, IdentityStatus
from mesh_agent.identity.patience import Patience
from mesh_agent.identity.rotation import renew_at
from mesh_agent.identity.settings import Endpoint, IdentitySettings
from mesh_agent.identity.store import IdentityStore
from mesh_agent.identity.token import JoinToken
from mesh_core.clock import Clock
from mesh_core.identity import SpiffeId

log = logging.getLogger(__name__)

_WHAT_HELPS: Final = (
    "deliver a new join token with site.yml or rejoin.yml; no token helps against a cluster ID "
    "that the control plane does not know (mesh_cluster_id)"
)

# Sleeps are cut, so that a wall clock that was set is noticed.
_LONGEST_SLEEP = 60.0
_TOKEN_LOOK_SECONDS = 1.0
_LONGEST_RETRY = 30.0


class Signer(Protocol):
    """What signs certificate requests; see `mesh_agent.identity.client.CertificateClient`."""

    def sign(
        self,
        csr_pem: bytes,
        endpoints: Sequence[Endpoint],
        *,
        identity: Identity | None = None,
        token: str | None = None,
    ) -> Awaitable[tuple[str, ...]]:
        """Return the chain as PEM texts, the root bundle last; SigningError."""


class IdentityService:
    """Owns the host's certificate; ``current`` is what to use, `subscribe` tells of a new one."""

    def __init__(
        self,
        expected: SpiffeId,
        settings: IdentitySettings,
        endpoints: Sequence[Endpoint],
        *,
        store: IdentityStore,
        signer: Signer,
        worker: Callable[[], AbstractAsyncContextManager[KeyWorker]],
        clock: Clock,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._expected = str(expected)
        self._settings = settings
        self._endpoints = list(endpoints)
        self._store = store
        self._signer = signer
        self._worker = worker
        self._clock = clock
        self._uniform = uniform
        self._token = JoinToken(settings.token)
        self._jitter = 0.0
        self._current: Identity | None = None
        self._last_error: str | None = None
        self._unusable: str | None = None  # why the certificate on disk is not used
        self._refused = False
        self._request: tuple[bytes, bytes] | None = None  # key and CSR not answered yet
        self._subscribers: list[Callable[[], None]] = []

    @property
    def current(self) -> Identity | None:
        """The latest identity, valid or not."""
        return self._current

    @property
    def valid(self) -> Identity | None:
        """The latest identity if peers accept it now."""
        identity = self._current
        return identity if identity and identity.valid_at(self._clock.now()) else None

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` after each change; what is returned ends that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def status(self) -> IdentityStatus:
        """Return what operators see."""
        details = self._current.details if self._current else None
        return IdentityStatus(
            state=self._state(),
            spiffe_id=self._expected,
            serial=details.serial if details else None,
            not_before=details.not_before if details else None,
            not_after=details.not_after if details else None,
            needs_token=(
                not self.valid
                and not self._clock_problem()
                and (self._refused or not self._token.present())
            ),
            last_error=self._clock_problem() or self._last_error,
        )

    def seconds_left(self) -> float | None:
        """Seconds until the certificate ends (negative: since), None without one."""
        if self._current is None:
            return None
        return (self._current.details.not_after - self._clock.now()).total_seconds()

    def load(self) -> None:
        """Take the certificate on disk into use, if there is a usable one for this workload."""
        self._look()
        if self._unusable:
            self._report(self._unusable)

    def _look(self) -> None:
        self._unusable = None
        try:
            identity = self._store.load()
            if identity and identity.details.spiffe_id != self._expected:
                raise IdentityError(
                    f"it is for {identity.details.spiffe_id}, this host is configured as "
                    f"{self._expected}"
                )
        except IdentityError as error:
            self._unusable = f"the certificate on disk is not used: {error}"
            return
        if identity is not None:
            self._last_error = None
            self._adopt(identity)

    async def run(self) -> None:
        """Keep the identity valid, for ever."""
        patience = Patience(_LONGEST_RETRY)
        while True:
            if self._current and (due := self._due(self._current)) > self._clock.now():
                await self._sleep_until(due)
                continue
            if self._unusable:
                self._look()  # somebody may have put it right
                if self._current:
                    continue
            try:
                await self._obtain()
                patience.reset()
            except SigningError as error:
                self._refused = error.refused
                stranded = error.refused and not self.valid
                self._report(f"{error}; {_WHAT_HELPS}" if stranded else str(error))
                await self._pause(patience.next(exhausted=error.exhausted))
            except (IdentityError, OSError) as error:
                self._report(str(error))
                await self._pause(patience.next(exhausted=False))

    async def _obtain(self) -> None:
        identity = self.valid
        token = None if identity else self._token.read()
        async with self._worker() as worker:
            # A token answers for one key: after a lost reply the same request is made again.
            self._request = self._request or await worker.new_request(self._expected)
            key, csr = self._request
            try:
                chain = await self._sign(csr, identity, token)
            except SigningError as error:
                # The proof that is left when a certificate is refused, e.g. after a change of CA.
                if not (identity and error.refused and self._token.present()):
                    raise
                token = self._token.read()
                chain = await self._sign(csr, None, token)
            certificates = "".join(pem.strip() + "\n" for pem in chain[:-1]).encode()
            details = await worker.read(key, certificates)
        if token is not None:
            self._token.remove()
        if details.spiffe_id != self._expected:
            raise IdentityError(
                f"the control plane takes this host for {details.spiffe_id}, it is configured as "
                f"{self._expected}: the join token is another workload's"
            )
        root = (chain[-1].strip() + "\n").encode()
        identity = self._store.save(details, self._clock.now(), key, certificates, root)
        self._last_error, self._unusable = None, None
        self._refused, self._request = False, None
        log.info("certificate %s is valid until %s", details.serial, details.not_after.isoformat())
        self._adopt(identity)

    async def _sign(
        self, csr: bytes, identity: Identity | None, token: str | None
    ) -> tuple[str, ...]:
        return await self._signer.sign(csr, self._endpoints, identity=identity, token=token)

    def _adopt(self, identity: Identity) -> None:
        self._current = identity
        self._jitter = self._uniform(-self._settings.rotate_jitter, self._settings.rotate_jitter)
        if problem := self._clock_problem():
            log.error("identity: %s", problem)
        for callback in list(self._subscribers):
            callback()

    def _due(self, identity: Identity) -> datetime:
        return renew_at(
            identity.received,
            identity.details.not_after,
            ratio=self._settings.rotate_ratio,
            jitter=self._jitter,
        )

    def _state(self) -> IdentityState:
        if self._current is None:
            return IdentityState.NONE
        if self._clock_problem():
            return IdentityState.NONE
        return IdentityState.VALID if self.valid else IdentityState.EXPIRED

    def _clock_problem(self) -> str | None:
        """Return what is wrong with this host's clock if the certificate is not valid yet."""
        now = self._clock.now()
        if self._current is None or now >= self._current.details.not_before:
            return None
        begin = self._current.details.not_before
        return (
            f"the certificate begins at {begin:%Y-%m-%d %H:%M:%S} UTC, but it is "
            f"{now:%Y-%m-%d %H:%M:%S} UTC on this host: set its clock"
        )

    def _report(self, problem: str) -> None:
        """Keep and log a problem, once as long as it stays the same."""
        now = self._clock.now()
        if self._unusable and self._unusable != problem:
            problem = f"{self._unusable}; {problem}"
        if self._state() is IdentityState.EXPIRED and self._current:
            end = self._current.details.not_after
            problem = f"the certificate ended at {end:%Y-%m-%d %H:%M:%S} UTC; {problem}"
        if problem != self._last_error:
            level = logging.WARNING if self.valid else logging.ERROR
            log.log(level, "identity: %s (it is %s here)", problem, f"{now:%Y-%m-%d %H:%M:%S} UTC")
        self._last_error = problem

    async def _sleep_until(self, moment: datetime) -> None:
        while (left := (moment - self._clock.now()).total_seconds()) > 0:
            await self._clock.sleep(min(left, _LONGEST_SLEEP))

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until another join token is delivered."""
        seen, end = self._token.version(), self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0 and self._token.version() == seen:
            await self._clock.sleep(min(left, _TOKEN_LOOK_SECONDS))
