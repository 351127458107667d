# SPDX-License-Identifier: Apache-2.0
"""CreateCertificate (istio.v1.auth.IstioCertificateService) from the agent's side."""

from __future__ import annotations

from collections.abc import Sequence

from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from mesh_agent.identity import claims
from mesh_agent.identity.dial import CALL_ERRORS, dial, explain
from mesh_agent.identity.model import Identity, IdentityError
from mesh_agent.identity.settings import ControlPlaneSettings, Endpoint
from mesh_core.wire import rpc, types

DEADLINE_SECONDS = 10.0


class SigningError(IdentityError):
    """No certificate from any address.

    ``refused``: the proof was not accepted, so waiting alone does not help; ``exhausted``: there
    are too many that ask.
    """

    def __init__(self, message: str, *, refused: bool, exhausted: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
        self.exhausted = exhausted


class CertificateClient:
    """Asks the control plane's addresses, one after the other, to sign a request."""

    def __init__(
        self, settings: ControlPlaneSettings, *, cluster_id: str, lifetime_seconds: int
    ) -> None:
        self._settings = settings
        self._cluster_id = cluster_id
        self._lifetime = lifetime_seconds

    async def sign(
        self,
        csr_pem: bytes,
        endpoints: Sequence[Endpoint],
        *,
        identity: Identity | None = None,
        token: str | None = None,
    ) -> tuple[str, ...]:
        """Return PEM texts: leaf, intermediates, and the root bundle as the last one.

        The caller proves itself by ``identity`` (mutual TLS) or by ``token``. SigningError names
        each address that was tried.
        """
        from mesh_core.wire import messages  # loaded while the key is made

        request = messages.IstioCertificateRequest(
            csr=csr_pem.decode(), validity_duration=self._lifetime
        )
        request.metadata["CertSigner"] = ""
        metadata = {"clusterid": self._cluster_id}
        if token is not None:
            metadata["authorization"] = f"Bearer {token}"
        problems: list[str] = []
        refused = exhausted = False
        for endpoint in endpoints:
            try:
                async with dial(self._settings, endpoint, identity) as channel:
                    answer = await rpc.call(
                        channel,
                        types.CREATE_CERTIFICATE,
                        request.SerializeToString(),
                        metadata=metadata,
                        timeout=DEADLINE_SECONDS,
                    )
            except CALL_ERRORS as error:
                problem = explain(error, self._settings, endpoint)
                if token is not None and _unauthenticated(error):
                    problem += f" ({claims.sent(token, self._cluster_id)})"
                problems.append(problem)
                refused = refused or _refused(error, identity)
                exhausted = exhausted or _exhausted(error)
                continue
            chain = tuple(messages.IstioCertificateResponse.FromString(answer).cert_chain)
            if len(chain) >= 2:
                return chain
            problems.append(
                f"control plane {endpoint}: expected a certificate and a root, "
                f"found a chain of {len(chain)}"
            )
        raise SigningError("; ".join(problems), refused=refused, exhausted=exhausted)


def _unauthenticated(error: Exception) -> bool:
    return isinstance(error, GRPCError) and error.status is Status.UNAUTHENTICATED


def _refused(error: Exception, identity: Identity | None) -> bool:
    if isinstance(error, GRPCError):
        return error.status in (Status.UNAUTHENTICATED, Status.PERMISSION_DENIED)
    # TLS 1.3: a server that does not take our certificate says so after the handshake, by closing.
    return identity is not None and isinstance(error, StreamTerminatedError)


def _exhausted(error: Exception) -> bool:
    return isinstance(error, GRPCError) and error.status is Status.RESOURCE_EXHAUSTED
