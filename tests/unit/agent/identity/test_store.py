# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh_agent.identity.model import CertificateDetails, Identity, IdentityError
from mesh_agent.identity.store import IdentityStore
from mesh_core import pki

URI = "spiffe://cluster.local/ns/shop/sa/api"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def save(store: IdentityStore, directory: Path) -> Identity:
    authority = pki.Authority.open(directory / "ca", "cluster.local")
    key = pki.new_key()
    chain = authority.issue(pki.new_csr(key, URI), uris=[URI], lifetime=timedelta(hours=1))
    details = CertificateDetails(URI, "ab", NOW, NOW + timedelta(hours=1))
    return store.save(details, NOW, key, chain[0].encode(), chain[-1].encode())


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path / "identity")
    assert store.load() is None
    saved = save(store, tmp_path)
    assert store.load() == saved
    assert saved.key_path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "identity").stat().st_mode & 0o777 == 0o700
    assert b"PRIVATE" not in repr(saved).encode()


def test_each_set_is_whole_and_old_ones_go(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path / "identity")
    sets = [save(store, tmp_path) for _ in range(4)]
    assert store.load() == sets[-1]
    kept = sorted(path.name for path in (tmp_path / "identity").iterdir())
    assert kept == ["3", "4", "current"]


def test_a_set_that_was_not_finished_is_never_used(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path / "identity")
    saved = save(store, tmp_path)
    torn = tmp_path / "identity" / "2"
    torn.mkdir()
    (torn / "key.pem").write_bytes(b"half")
    assert store.load() == saved
    assert save(store, tmp_path).directory.name == "3"


def test_a_key_of_another_certificate_is_an_error(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path / "identity")
    save(store, tmp_path).key_path.write_bytes(pki.new_key())
    with pytest.raises(IdentityError, match=r"identity/1: key.pem and cert-chain.pem: .*mismatch"):
        store.load()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("key.pem", b"nonsense", "identity/1: key.pem and cert-chain.pem"),
        ("cert-chain.pem", b"", "identity/1: key.pem and cert-chain.pem"),
        ("details.json", b"{}", "details.json: not as written"),
        ("details.json", b"\xff", "details.json: not as written"),
        ("root-cert.pem", None, "root-cert.pem: cannot be read: No such file"),
    ],
)
def test_unusable_files_are_named(
    tmp_path: Path, name: str, content: bytes | None, expected: str
) -> None:
    store = IdentityStore(tmp_path / "identity")
    path = save(store, tmp_path).directory / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(IdentityError, match=expected):
        store.load()
