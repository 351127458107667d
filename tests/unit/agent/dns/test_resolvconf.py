# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from mesh_agent.dns.resolvconf import Upstream, parse_resolv_conf
from mesh_agent.dns.resolvfile import ResolvConfFile
from mesh_agent.dns.settings import DnsSettings
from mesh_core.config import parse
from mesh_core.errors import ConfigError


def test_a_usual_file() -> None:
    found = parse_resolv_conf(
        "# comment\n; another\ndomain old.example\nsearch corp.example . b.example\n"
        "nameserver 10.0.0.2\nnameserver\t2001:db8::53 \nnameserver fe80::1%eth0\n"
        "nameserver 10.0.0.2\nnameserver not-an-address\noptions ndots:5 timeout:1\n\nnameserver\n"
    )
    assert [upstream.address for upstream in found.nameservers] == [
        "10.0.0.2",
        "2001:db8::53",
        "fe80::1%eth0",
    ]
    assert found.search == ("corp.example", "b.example")


def test_the_last_of_search_and_domain_counts() -> None:
    assert parse_resolv_conf("search a.example\ndomain b.example\n").search == ("b.example",)
    assert parse_resolv_conf("domain b.example\nsearch a.example\n").search == ("a.example",)


def test_without_nameservers_this_host_is_asked() -> None:
    assert parse_resolv_conf("").upstreams() == (Upstream("127.0.0.1"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.2", Upstream("10.0.0.2")),
        ("10.0.0.2:5353", Upstream("10.0.0.2", 5353)),
        ("fd00::1", Upstream("fd00::1")),
        ("[fd00::1]:5353", Upstream("fd00::1", 5353)),
        ("[fd00::1]", Upstream("fd00::1")),
    ],
)
def test_upstreams_as_people_write_them(text: str, expected: Upstream) -> None:
    assert Upstream.parse(text) == expected
    assert Upstream.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dns.example",
        "10.0.0.2:",
        "10.0.0.2:x",
        "10.0.0.2:0",
        "10.0.0.2:70000",
        "[fd00::1",
        "[fd00::1]5353",
        "10.0.0",
    ],
)
def test_what_is_no_upstream_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^dns\.yaml: upstreams\[0\]: expected"):
        parse(DnsSettings, {"upstreams": [text]}, "dns.yaml")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("forward_timeout_seconds", 0),
        ("tcp_idle_seconds", -1),
        ("max_forwards", 0),
        ("max_tcp_connections", 0),
        ("search_domain", "a..b"),
    ],
)
def test_settings_are_checked(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^dns.yaml: {key}: expected"):
        parse(DnsSettings, {key: value}, "dns.yaml")


def test_the_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    file = ResolvConfFile(path)
    assert not file.refresh()
    path.write_text("nameserver 10.0.0.1\n")
    assert file.refresh()
    assert not file.refresh()
    # Replaced by another one of the same size, as network managers do it.
    (tmp_path / "new").write_text("nameserver 10.0.0.2\n")
    (tmp_path / "new").replace(path)
    assert file.refresh()
    assert file.current.nameservers == (Upstream("10.0.0.2"),)
    path.unlink()
    assert not file.refresh()
    assert file.current.nameservers == (Upstream("10.0.0.2"),)
    path.write_text("nameserver 10.0.0.2\n# same\n")
    assert not file.refresh()
