from __future__ import annotations

from pathlib import Path

import pytest

from mesh_control.settings import Address, Settings, load
from mesh_core.errors import ConfigError


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "control.yaml"
    path.write_text("---\n")
    assert load(path) == Settings()


def test_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "control.yaml"
    path.write_text(
        """---
trust_domain: mesh.example
cluster_id: mesh2
listen: {xds: "[::]:15012", status: "127.0.0.1:15014"}
server_names: [istiod.istio-system.svc, 10.0.0.1, "fd31:1::10"]
objects: /srv/objects
state: /srv/state
registration: {grace_seconds: 3}
certificates: {default_lifetime_seconds: 60, maximum_lifetime_seconds: 120}
tokens: {audience: istio-ca, lifetime_seconds: 5}
auto_addresses: 240.1.0.0/16
"""
    )
    settings = load(path)
    assert settings.server_dns == ("istiod.istio-system.svc",)
    assert settings.server_ips == ("10.0.0.1", "fd31:1::10")
    assert settings.registration.grace_seconds == 3.0
    assert settings.certificates.maximum_lifetime.total_seconds() == 120


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trust_domain: Mesh_", "trust_domain: expected a name in lower case, found 'Mesh_'"),
        ("server_names: []", "server_names: expected at least one"),
        ("server_names: [a b]", "server_names: expected DNS names and IPs, found 'a b'"),
        ("listen: {xds: '15012'}", "listen: xds: expected IP:PORT or .*, found '15012'"),
        ("listen: {status: 'x:1'}", "listen: status: expected IP:PORT or"),
        ("registration: {grace_seconds: 0}", "grace_seconds: expected more than 0, found 0"),
        ("tokens: {lifetime_seconds: -1}", "lifetime_seconds: expected more than 0, found -1"),
        (
            "certificates: {default_lifetime_seconds: 9, maximum_lifetime_seconds: 8}",
            r"maximum_lifetime_seconds: expected at least default_lifetime_seconds \(9\), found 8",
        ),
        ("auto_addresses: 240.0.0.1/8", "auto_addresses: expected an IPv4 network"),
        ("listen: {xdss: 'x'}", "listen.xdss: unknown key; did you mean xds?"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "control.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_addresses() -> None:
    for text in ("0.0.0.0:15012", "[::1]:0"):
        assert str(Address.parse(text)) == text
    for text in ("", "localhost:1", "::1:80", "[1.2.3.4]:80", "1.2.3.4", "1.2.3.4:70000"):
        with pytest.raises(ValueError, match="expected"):
            Address.parse(text)
