# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is found to be, and who holds its ports."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._listeners import (
    Listener,
    listeners,
    parse_socket_units,
    parse_table,
    unit_of,
)
from ansible_collections.hybrid.mesh.plugins.modules import host_info
from ansible_collections.hybrid.mesh.tests.unit.plugins.run_module import run_module

TABLE = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid timeout\n"
    "   0: 00000000:3A9E 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1337 0 4711 1 x\n"
    "   1: 0100007F:3A9E 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1337 0 4712 1 x\n"
)


def test_listening_sockets_of_a_table() -> None:
    assert list(parse_table(TABLE, "tcp")) == [("4711", 15006)]
    assert list(parse_table(TABLE.replace(" 0A ", " 07 "), "udp")) == [("4711", 15006)]


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/mesh-proxy.service\n", "mesh-proxy.service"),
        ("1:name=systemd:/system.slice/ssh.service/x\n0::/\n", "ssh.service"),
        ("0::/user.slice/user-0.slice/session-3.scope\n", "session-3.scope"),
        ("0::/\n", ""),
    ],
)
def test_unit_of_a_process(cgroup: str, unit: str) -> None:
    assert unit_of(cgroup) == unit


def test_sockets_that_systemd_holds() -> None:
    text = (
        "127.0.0.1:15053 mesh-agent.socket mesh-agent.service\n"
        "[::1]:15054 mesh-agent.socket mesh-agent.service\n"
        "/run/dbus/system_bus_socket dbus.socket dbus.service\n"
    )
    assert parse_socket_units(text) == {15053: "mesh-agent.socket", 15054: "mesh-agent.socket"}


def test_a_real_port_is_held_by_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = listeners([port], {})
    assert [(held.protocol, held.port, held.pid) for held in found] == [("tcp", port, os.getpid())]
    assert found[0].process
    assert listeners([port], {}) == []


def test_the_socket_unit_owns_what_systemd_holds(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(TABLE)
    (tmp_path / "1/fd").mkdir(parents=True)
    (tmp_path / "1/fd/3").symlink_to("socket:[4711]")
    (tmp_path / "1/comm").write_text("systemd\n")
    (tmp_path / "1/cgroup").write_text("0::/init.scope\n")
    found = listeners([15006], {15006: "mesh-agent.socket"}, str(tmp_path))
    assert found == [Listener("tcp", 15006, "systemd", 1, "mesh-agent.socket")]


def test_addresses_of_a_listing() -> None:
    listing = (
        "2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0\\ valid_lft forever\n"
        "2: eth0    inet6 fd00::5/64 scope global \\ valid_lft forever\n"
        "3: wg0    inet 10.9.0.1 peer 10.9.0.2/32 scope global wg0\\\n"
    )
    assert host_info.addresses(listing) == ["10.0.0.5", "fd00::5", "10.9.0.1"]


def test_the_clock_is_compared_with_the_controllers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_info.time, "time", lambda: 1_000_000_600.0)
    result = run_module(host_info.main, {"controller_time": 1_000_000_000.0})
    assert result["clock"] == {
        "time": "2001-09-09T01:56:40Z",
        "epoch": 1_000_000_600.0,
        "offset_seconds": 600.0,
    }


def test_what_this_host_is() -> None:
    result = run_module(host_info.main, {"interpreter": sys.executable})
    assert result["changed"] is False
    assert result["python"] == ".".join(map(str, sys.version_info[:3]))
    assert result["kernel"] == os.uname().release
    assert result["ports"] == []
    assert "resolver" not in result
    assert run_module(host_info.main, {"interpreter": "/nowhere"})["python"] == ""


@pytest.mark.parametrize(
    ("code", "answers"),
    [(socket.EAI_NONAME, True), (socket.EAI_AGAIN, False), (socket.EAI_FAIL, False)],
)
def test_no_such_name_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, code: int, answers: bool
) -> None:
    asked: list[str] = []

    def getaddrinfo(name: str, _port: None) -> None:
        asked.append(name.partition(".")[2])
        raise socket.gaierror(code, "x")

    monkeypatch.setattr(host_info.socket, "getaddrinfo", getaddrinfo)
    assert host_info.resolver_answers(["corp.example"]) is answers
    assert asked == (["corp.example."] if answers else ["corp.example.", "invalid."])


def test_the_domains_of_short_names() -> None:
    text = "search old.example\nnameserver 10.0.0.1\nsearch a.example b.example\n"
    assert host_info.search_domains(text) == ["a.example", "b.example"]
    assert host_info.search_domains("nameserver 10.0.0.1\n") == []


def test_a_control_plane_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    problem, names = host_info.handshake(address, "x")
    assert (problem.startswith(f"{address}: "), names) == (True, [])
    assert host_info.handshake("10.0.0.1", "x") == ("10.0.0.1: expected HOST:PORT", [])


def test_nft_that_is_not_there() -> None:
    assert host_info.nft_problem(None) == "there is no nft program"
    assert "/nowhere/nft cannot be run" in host_info.nft_problem("/nowhere/nft")
