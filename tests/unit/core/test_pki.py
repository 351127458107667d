from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from mesh_core.errors import MeshError
from mesh_core.identity import SpiffeId
from mesh_core.pki import Authority, key_matches, new_csr, new_key, read_certificate

URI = "spiffe://cluster.local/ns/shop/sa/api"


class FixedClock:
    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_certificate_carries_the_given_names_not_the_requests(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "ca", "cluster.local", FixedClock(NOW))
    key = new_key()
    chain = authority.issue(
        new_csr(key, "spiffe://evil/ns/x/sa/y"), uris=[URI], lifetime=timedelta(hours=24)
    )
    leaf = chain[0].encode()
    info = read_certificate(leaf)
    assert info.uri_sans == (URI,)
    assert info.not_after == NOW + timedelta(hours=24)
    assert info.not_before < NOW
    assert info.subject == ""
    assert key_matches(key, leaf)
    assert not key_matches(new_key(), leaf)
    assert chain[-1] == authority.root_pem
    root = x509.load_pem_x509_certificate(authority.root_pem.encode())
    x509.load_pem_x509_certificate(leaf).verify_directly_issued_by(root)


def test_the_authority_is_the_same_after_a_restart_and_its_key_private(tmp_path: Path) -> None:
    first = Authority.open(tmp_path / "ca", "cluster.local")
    assert Authority.open(tmp_path / "ca", "cluster.local").root_pem == first.root_pem
    assert (tmp_path / "ca/ca-key.pem").stat().st_mode & 0o777 == 0o600


def test_a_life_is_cut_to_the_signers(tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    authority = Authority.open(tmp_path, "cluster.local", clock)
    csr = new_csr(new_key(), URI)
    clock.time = NOW + timedelta(days=3649)
    [leaf, _] = authority.issue(csr, uris=[URI], lifetime=timedelta(days=30))
    assert read_certificate(leaf.encode()).not_after == NOW + timedelta(days=3650)
    clock.time = NOW + timedelta(days=3651)
    with pytest.raises(MeshError, match="the signing certificate expired at 2035-12-31"):
        authority.issue(csr, uris=[URI], lifetime=timedelta(days=1))


def test_bad_input_is_named(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "ca", "cluster.local")
    with pytest.raises(MeshError, match="expected a PEM certificate request"):
        authority.issue(b"nonsense", uris=[URI], lifetime=timedelta(hours=1))
    (tmp_path / "ca/ca-key.pem").write_bytes(new_key())
    with pytest.raises(MeshError, match=r"ca-key\.pem: is not the key of .*ca-cert\.pem"):
        Authority.open(tmp_path / "ca", "cluster.local")
    (tmp_path / "ca/root-cert.pem").unlink()
    with pytest.raises(MeshError, match=r"root-cert\.pem: cannot be read: No such file"):
        Authority.open(tmp_path / "ca", "cluster.local")


def test_spiffe_ids_go_there_and_back() -> None:
    identity = SpiffeId("cluster.local", "shop", "api")
    assert str(identity) == URI
    assert SpiffeId.parse(URI) == identity
    for bad in (
        "",
        "spiffe://td/ns/a",
        "https://td/ns/a/sa/b",
        URI + "/more",
        "spiffe:///ns/a/sa/b",
    ):
        with pytest.raises(ValueError, match="expected spiffe://"):
            SpiffeId.parse(bad)
