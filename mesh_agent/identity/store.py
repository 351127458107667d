# SPDX-License-Identifier: Apache-2.0
"""The certificate on disk: numbered sets of files, and the link ``current`` to the one in use.

    identity/7/key.pem cert-chain.pem root-cert.pem details.json
    identity/current -> 7

A set is written whole before the link moves, so a reader or a crash never sees a key beside
another key's certificate.
"""

from __future__ import annotations

import json
import ssl
from datetime import datetime
from pathlib import Path

from mesh_agent.identity.model import CertificateDetails, Identity, IdentityError
from mesh_core.files import replace_link, write_directory

_KEPT = 2  # whoever opened the former set's files a moment ago may still read on


class IdentityStore:
    """Reads and writes the sets under ``directory`` (STATE/identity)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self) -> Identity | None:
        """Return the current set, None if there never was one; IdentityError if it is unusable."""
        link = self._directory / "current"
        if not link.is_symlink():
            return None
        directory = self._directory / link.readlink()
        try:
            details = json.loads((directory / "details.json").read_text())
            identity = Identity(
                details=CertificateDetails(
                    spiffe_id=details["spiffe_id"],
                    serial=details["serial"],
                    not_before=datetime.fromisoformat(details["not_before"]),
                    not_after=datetime.fromisoformat(details["not_after"]),
                ),
                received=datetime.fromisoformat(details["received"]),
                directory=directory,
                key_pem=(directory / "key.pem").read_bytes(),
                chain_pem=(directory / "cert-chain.pem").read_bytes(),
                root_pem=(directory / "root-cert.pem").read_bytes(),
            )
            # OpenSSL compares key and certificate; nothing is kept of this context.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                identity.chain_path, identity.key_path
            )
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).replace("_", " ").lower()
            raise IdentityError(f"{directory}: key.pem and cert-chain.pem: {reason}") from error
        except OSError as error:
            raise IdentityError(f"{error.filename}: cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise IdentityError(f"{directory / 'details.json'}: not as written: {error}") from error
        return identity

    def save(
        self,
        details: CertificateDetails,
        received: datetime,
        key_pem: bytes,
        chain_pem: bytes,
        root_pem: bytes,
    ) -> Identity:
        """Write a new set, make it the current one, remove old ones; OSError when it cannot be."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = max(self._numbers(), default=0) + 1
        directory = self._directory / str(number)
        described = {
            "spiffe_id": details.spiffe_id,
            "serial": details.serial,
            "not_before": details.not_before.isoformat(),
            "not_after": details.not_after.isoformat(),
            "received": received.isoformat(),
        }
        files: dict[str, tuple[bytes | str, int]] = {
            "key.pem": (key_pem, 0o600),
            "cert-chain.pem": (chain_pem, 0o644),
            "root-cert.pem": (root_pem, 0o644),
            "details.json": (json.dumps(described, indent=1) + "\n", 0o644),
        }
        write_directory(directory, files)
        replace_link(self._directory / "current", str(number))
        for old in sorted(self._numbers())[:-_KEPT]:
            _remove(self._directory / str(old))
        return Identity(details, received, directory, key_pem, chain_pem, root_pem)

    def _numbers(self) -> list[int]:
        return [int(path.name) for path in self._directory.iterdir() if path.name.isdecimal()]


def _remove(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
