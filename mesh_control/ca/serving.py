# SPDX-License-Identifier: Apache-2.0
"""The certificate that the control plane shows: issued by its own authority, renewed in time."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from mesh_core.clock import Clock
from mesh_core.errors import MeshError
from mesh_core.files import write_atomic
from mesh_core.pki import Authority, new_csr, new_key, read_certificate
from mesh_core.wire.rpc import server_tls

log = logging.getLogger(__name__)

LIFETIME = timedelta(days=7)
_LOOK_EVERY_SECONDS = 60.0


class ServingCertificate:
    """A key and a certificate in one file (0600), and the TLS context that shows them.

    The context stays the same object: a renewal is seen by the connections that follow.
    """

    def __init__(
        self,
        authority: Authority,
        path: Path,
        *,
        root: Path,
        dns: Sequence[str],
        ips: Sequence[str],
        clock: Clock,
        lifetime: timedelta = LIFETIME,
    ) -> None:
        self._authority = authority
        self._path = path
        self._dns = tuple(dns)
        self._ips = tuple(ips)
        self._clock = clock
        self._lifetime = lifetime
        self.not_after, self._renew_at = self._issue()
        try:
            self.context = server_tls(path, path, root)
        except (OSError, ssl.SSLError) as error:
            raise MeshError(f"{path} and {root}: cannot be used for TLS: {error}") from error
        # A resumed session would carry a client's certificate past its end.
        self.context.num_tickets = 0

    def renew_if_due(self) -> bool:
        """Renew in the second half of the certificate's life; whether that was done."""
        if self._clock.now() < self._renew_at:
            return False
        self.not_after, self._renew_at = self._issue()
        self.context.load_cert_chain(self._path)
        log.info("serving certificate renewed, good until %s", f"{self.not_after:%Y-%m-%dT%H:%MZ}")
        return True

    async def keep(self) -> None:
        """Renew for ever. Looks often instead of sleeping long, as clocks jump."""
        while True:
            self.renew_if_due()
            await self._clock.sleep(_LOOK_EVERY_SECONDS)

    def _issue(self) -> tuple[datetime, datetime]:
        """Write a new key and certificate; return its end and the time of the next one."""
        key = new_key()
        name = f"https://{(self._dns + self._ips)[0]}"
        chain = self._authority.issue(
            new_csr(key, name), dns=self._dns, ips=self._ips, lifetime=self._lifetime
        )
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(self._path, key + "".join(chain[:-1]).encode(), 0o600)
        except OSError as error:
            raise MeshError(f"{self._path}: cannot be written: {error.strerror}") from error
        end = read_certificate(chain[0].encode()).not_after
        now = self._clock.now()
        return end, now + (end - now) / 2
