# SPDX-License-Identifier: Apache-2.0
"""What is laid into a host before its first boot."""

from __future__ import annotations

import io
import tarfile
from ipaddress import ip_address

from lab.files import File, archive, host_files
from lab.spec import Host, Interface, Lab


def _host(name: str, last: int, workload: str = "none", **environment: str) -> Host:
    addresses = (ip_address(f"10.9.1.{last}"), ip_address(f"fd09:1::{last}"))
    interfaces = (Interface("network-1", addresses),)
    return Host(name, interfaces, workload, tuple(environment.items()), ip_address("10.9.1.10"))


CONTROL = _host("control", 10)
API = _host("api-1", 21, "api", VERSION="v1")
LAB = Lab("demo", (), (API, CONTROL))


def _files(host: Host) -> dict[str, File]:
    return {file.path: file for file in host_files(LAB, host, "ssh-ed25519 KEY\n")}


def test_only_the_owner_of_the_key_gets_in() -> None:
    keys = _files(API)["root/.ssh/authorized_keys"]
    assert (keys.content, keys.mode) == ("ssh-ed25519 KEY\n", 0o600)


def test_a_host_asks_the_resolver_of_its_network() -> None:
    files = _files(API)
    assert files["etc/resolv.conf"].content == "search lab.example\nnameserver 10.9.1.10\n"
    assert "fd09:1::21 api-1.lab.example api-1\n" in files["etc/hosts"].content
    assert "etc/dnsmasq.d/lab.conf" not in files


def test_the_owner_of_the_nameserver_address_runs_the_resolver() -> None:
    files = _files(CONTROL)
    resolver = files["etc/dnsmasq.d/lab.conf"].content
    assert "listen-address=10.9.1.10,fd09:1::10\n" in resolver
    assert "host-record=api-1.lab.example,10.9.1.21\n" in resolver
    assert "host-record=api-1.lab.example,fd09:1::21\n" in resolver
    wants = "etc/systemd/system/multi-user.target.wants"
    assert [path for path in files if path.startswith(wants)] == [f"{wants}/dnsmasq.service"]


def test_a_workload_is_a_unit_and_its_settings() -> None:
    files = _files(API)
    assert files["etc/shop/environment"].content == "VERSION=v1\n"
    unit = files["etc/systemd/system/multi-user.target.wants/shop-api.service"]
    assert unit.target == "/etc/systemd/system/shop-api.service"


def test_the_archive_holds_files_and_links() -> None:
    data = archive([File("a/b", "text", 0o600), File("a/c", target="/x")], time=7)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        file, link = tar.getmembers()
        content = tar.extractfile(file)
        assert content is not None
        assert content.read() == b"text"
    assert (file.name, file.mode, file.uid, file.mtime) == ("a/b", 0o600, 0, 7)
    assert (link.name, link.issym(), link.linkname) == ("a/c", True, "/x")
