# SPDX-License-Identifier: Apache-2.0
"""The table in force: real packets between network namespaces."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.unit.agent.redirect.conftest import (
    AGENT,
    APP,
    BACKUP,
    GUEST4,
    HOST4,
    HOST6,
    PEER4,
    PEER6,
    PROXY,
    Make,
    Network,
    accepted,
)

pytestmark = pytest.mark.needs_root

PAIRS = [(HOST4, PEER4), (HOST6, PEER6)]


def any_address(like: str) -> str:
    return "::" if ":" in like else "0.0.0.0"


def talk(one: socket.socket, other: socket.socket) -> None:
    """Send in both directions, and have it arrive."""
    for sender, receiver in ((one, other), (other, one)):
        sender.sendall(b"hello")
        receiver.settimeout(3)
        assert receiver.recv(100) == b"hello"


@pytest.fixture
def nameservers(network: Network) -> None:
    """The agent's sockets and the peer's, in both families."""
    for address in ("127.0.0.1", "::1"):
        network.answer(network.host, address, 15053, b"agent")
    for address in (PEER4, PEER6):
        network.answer(network.peer, address, 53, b"peer")


def test_applied_twice_and_removed_twice(network: Network, make: Make) -> None:
    redirector = make()
    assert redirector.apply() is True
    assert redirector.apply() is False
    assert not redirector.check().reasons
    assert "chain outbound" in network.host.run("nft", "list", "ruleset")
    assert "::6" in network.host.run("ip", "-6", "address", "show", "dev", "lo")
    assert redirector.remove() is True
    assert redirector.remove() is False
    assert network.host.run("nft", "list", "ruleset") == ""
    assert "::6" not in network.host.run("ip", "-6", "address", "show", "dev", "lo")


def test_other_tables_are_untouched(network: Network, make: Make) -> None:
    network.host.run("nft", "add table inet firewall")
    redirector = make()
    redirector.apply()
    redirector.remove()
    assert "table inet firewall" in network.host.run("nft", "list", "ruleset")


@pytest.mark.parametrize(("host", "peer"), PAIRS)
def test_outbound_goes_to_envoy_with_its_destination(
    network: Network, make: Make, host: str, peer: str
) -> None:
    envoy = network.listen(network.host, any_address(host), 15001)
    make().apply()
    network.connect(network.host, peer, 8080)
    assert accepted(envoy) == ((peer, 8080), host)


@pytest.mark.parametrize(("host", "peer"), PAIRS)
def test_some_users_call_directly(network: Network, make: Make, host: str, peer: str) -> None:
    server = network.listen(network.peer, peer, 8080)
    make(exclude_users=("backup",)).apply()
    for uid in (AGENT, PROXY, BACKUP):
        network.connect(network.host, peer, 8080, uid=uid)
        assert accepted(server) == ((peer, 8080), host)


@pytest.mark.parametrize(
    "settings",
    [
        {"exclude_outbound_ports": (8080,)},
        {"exclude_outbound_cidrs": ("10.99.0.0/16", "10.99.1.0/24")},
        {"exclude_interfaces": ("eth*",)},
        {"outbound": False},
    ],
)
def test_exclusions_are_called_directly(
    network: Network, make: Make, settings: dict[str, object]
) -> None:
    server = network.listen(network.peer, PEER4, 8080)
    make(**settings).apply()
    network.connect(network.host, PEER4, 8080)
    assert accepted(server) == ((PEER4, 8080), HOST4)


@pytest.mark.parametrize(("host", "peer"), PAIRS)
def test_inbound_goes_to_envoy_with_its_destination(
    network: Network, make: Make, host: str, peer: str
) -> None:
    envoy = network.listen(network.host, any_address(host), 15006)
    make().apply()
    network.connect(network.peer, host, 8080)
    assert accepted(envoy) == ((host, 8080), peer)


@pytest.mark.parametrize(("host", "peer"), PAIRS)
def test_ssh_and_other_ports_are_reached_directly(
    network: Network, make: Make, etc: Path, host: str, peer: str
) -> None:
    (etc / "ssh").mkdir()
    (etc / "ssh" / "sshd_config").write_text("Port 2222\nListenAddress 10.0.0.1:2200\n")
    make(exclude_inbound_ports=(9000,)).apply()
    for port in (22, 2222, 2200, 15020, 15021, 15090, 9000):
        server = network.listen(network.host, host, port)
        network.connect(network.peer, host, port)
        assert accepted(server) == ((host, port), peer)


@pytest.mark.parametrize(("host", "peer"), PAIRS)
def test_the_capture_ports_themselves_are_closed(
    network: Network, make: Make, host: str, peer: str
) -> None:
    make().apply()
    for port in (15001, 15006):
        network.listen(network.host, any_address(host), port)
        with pytest.raises(ConnectionRefusedError):
            network.connect(network.peer, host, port)
        network.connect(network.host, "127.0.0.1" if "." in host else "::1", port)


@pytest.mark.parametrize(
    ("host", "loopback", "source"), [(HOST4, "127.0.0.1", "127.0.0.6"), (HOST6, "::1", "::6")]
)
def test_calls_of_the_host_to_itself(
    network: Network, make: Make, host: str, loopback: str, source: str
) -> None:
    envoy = network.listen(network.host, any_address(host), 15006)
    app = network.listen(network.host, any_address(host), 8080)
    make().apply()
    # Envoy calls a service, and this very host is chosen.
    network.connect(network.host, host, 8080, uid=PROXY)
    assert accepted(envoy) == ((host, 8080), host)
    # Envoy hands over to the application; the agent asks for its health.
    for uid in (PROXY, AGENT):
        network.connect(network.host, host, 8080, uid=uid, source=source)
        assert accepted(app) == ((host, 8080), source)
        network.connect(network.host, loopback, 8080, uid=uid)
        assert accepted(app) == ((loopback, 8080), loopback)
    network.connect(network.host, host, 8080, uid=AGENT)
    assert accepted(app) == ((host, 8080), host)
    # A program of the host calls another one.
    network.connect(network.host, host, 8080, uid=APP)
    assert accepted(app) == ((host, 8080), host)
    network.connect(network.host, loopback, 8080, uid=APP)
    assert accepted(app) == ((loopback, 8080), loopback)


@pytest.mark.usefixtures("nameservers")
@pytest.mark.parametrize("peer", [PEER4, PEER6])
def test_questions_go_to_the_agent(network: Network, make: Make, peer: str) -> None:
    assert network.query(peer) == (b"peer", peer)
    make().apply()
    assert network.query(peer) == (b"agent", peer)
    assert network.query(peer, uid=0) == (b"agent", peer)
    assert network.query(peer, uid=AGENT) == (b"peer", peer)
    assert network.query(peer, uid=PROXY) == (b"peer", peer)


@pytest.mark.parametrize("peer", [PEER4, PEER6])
def test_questions_by_tcp_go_to_the_agent(network: Network, make: Make, peer: str) -> None:
    agent = network.listen(network.host, "::1" if ":" in peer else "127.0.0.1", 15053)
    upstream = network.listen(network.peer, peer, 53)
    make().apply()
    network.connect(network.host, peer, 53)
    assert accepted(agent)[0] == (peer, 53)
    network.connect(network.host, peer, 53, uid=AGENT)
    assert accepted(upstream)[0] == (peer, 53)


@pytest.mark.usefixtures("nameservers")
def test_only_questions_to_the_hosts_nameservers_are_taken(
    network: Network, make: Make, etc: Path
) -> None:
    (etc / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    make().apply()
    assert network.query(PEER4) == (b"peer", PEER4)


@pytest.mark.usefixtures("nameservers")
def test_a_resolver_of_the_host_still_reaches_its_upstream(
    network: Network, make: Make, etc: Path
) -> None:
    """resolv.conf names a local resolver and the one that it asks in turn."""
    (etc / "resolv.conf").write_text(f"nameserver 127.0.0.53\nnameserver {PEER4}\n")
    network.answer(network.host, "127.0.0.53", 53, b"local")
    make().apply()
    assert network.query("127.0.0.53") == (b"agent", "127.0.0.53")
    assert network.query("127.0.0.53", uid=AGENT) == (b"local", "127.0.0.53")
    assert network.query(PEER4, uid=BACKUP) == (b"peer", PEER4)


@pytest.mark.usefixtures("nameservers")
@pytest.mark.parametrize("peer", [PEER4, PEER6])
def test_a_port_used_a_moment_ago_by_a_captured_question(
    network: Network, make: Make, peer: str
) -> None:
    """The agent's question must not be taken for more of the program's, which went to the agent."""
    make().apply()
    assert network.query(peer, local_port=33333) == (b"agent", peer)
    assert network.query(peer, local_port=33333, uid=AGENT) == (b"peer", peer)
    assert network.query(peer, local_port=33333) == (b"agent", peer)


@pytest.mark.parametrize(("host", "peer"), PAIRS)
def test_connections_from_before_live_on(
    network: Network, make: Make, host: str, peer: str
) -> None:
    """Also where nothing had tracked them, and their next packet looks like their first one."""
    network.listen(network.host, any_address(host), 15001)
    network.listen(network.host, any_address(host), 15006)
    sshd = network.listen(network.host, host, 22)
    app = network.listen(network.host, host, 8080)
    server = network.listen(network.peer, peer, 8080)
    pairs = []
    for listener, client in (
        (sshd, network.connect(network.peer, host, 22)),
        (app, network.connect(network.peer, host, 8080)),
        (server, network.connect(network.host, peer, 8080)),
    ):
        connection = network.stack.enter_context(listener.accept()[0])
        pairs += [(connection, client)]
    redirector = make()
    redirector.apply()
    for connection, client in pairs:
        talk(connection, client)
    redirector.remove()
    for connection, client in pairs:
        talk(client, connection)


def test_captured_connections_live_through_another_apply(network: Network, make: Make) -> None:
    envoy = network.listen(network.host, "0.0.0.0", 15001)
    make().apply()
    client = network.connect(network.host, PEER4, 8080)
    connection = network.stack.enter_context(envoy.accept()[0])
    talk(client, connection)
    assert make(exclude_outbound_ports=(25,)).apply() is True
    talk(connection, client)


def test_ipv6_is_left_alone_when_it_is_off(network: Network, make: Make) -> None:
    server = network.listen(network.peer, PEER6, 8080)
    app = network.listen(network.host, HOST6, 8080)
    make(addresses=(HOST4,)).apply()
    network.connect(network.host, PEER6, 8080)
    assert accepted(server)[0] == (PEER6, 8080)
    network.connect(network.peer, HOST6, 8080)
    assert accepted(app)[0] == (HOST6, 8080)
    assert "::6" not in network.host.run("ip", "-6", "address", "show", "dev", "lo")


def forward(network: Network) -> None:
    try:
        network.host.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    except RuntimeError:
        pytest.skip("/proc/sys cannot be written here")


@pytest.mark.usefixtures("nameservers")
def test_forwarded_traffic_is_untouched(network: Network, make: Make) -> None:
    forward(network)
    make().apply()
    server = network.listen(network.peer, PEER4, 8080)
    network.connect(network.guest, PEER4, 8080)
    assert accepted(server) == ((PEER4, 8080), GUEST4)
    guest = network.listen(network.guest, GUEST4, 8080)
    network.connect(network.peer, GUEST4, 8080)
    assert accepted(guest) == ((GUEST4, 8080), PEER4)
    with network.guest.socket(socket.SOCK_DGRAM) as sock:
        sock.sendto(b"question", (PEER4, 53))
        assert sock.recvfrom(100)[0] == b"peer"


def test_containers_reach_the_host_as_before(network: Network, make: Make) -> None:
    app = network.listen(network.host, "0.0.0.0", 8080)
    make().apply()
    network.connect(network.guest, "10.99.2.1", 8080)
    assert accepted(app) == (("10.99.2.1", 8080), GUEST4)


def test_ports_published_for_containers_work_as_before(network: Network, make: Make) -> None:
    """Whether the container engine's rules were there before ours or come later."""
    forward(network)
    network.listen(network.host, "0.0.0.0", 15006)
    container = network.listen(network.guest, GUEST4, 80)
    publish = (
        "table ip engine {{\nchain {name} {{\ntype nat hook prerouting priority -100;\n"
        "iifname eth0 tcp dport {port} dnat to 10.99.2.2:80\n}}\n}}"
    )
    network.host.run("nft", publish.format(name="before", port=8081))
    make().apply()
    network.host.run("nft", publish.format(name="after", port=8082))
    for port in (8081, 8082):
        network.connect(network.peer, HOST4, port)
        assert accepted(container)[1] == PEER4


def test_drift_is_seen_named_and_repaired(network: Network, make: Make) -> None:
    redirector = make()
    redirector.apply()
    table = ("inet", "hybrid_mesh")
    network.host.run("nft", "add", "rule", *table, "inbound", "tcp dport 9999 return")
    assert redirector.check().reasons == ("the table was changed: 0 parts missing, 1 added",)
    assert redirector.repair().reasons
    assert not redirector.check().reasons
    network.host.run("nft", "flush", "chain", *table, "outbound")
    assert "parts missing, 0 added" in redirector.repair().reasons[0]
    network.host.run("nft", "flush", "ruleset")
    drift = redirector.check()
    assert (drift.wanted, drift.applied, drift.reasons) == (True, False, ("the table is gone",))
    redirector.repair()
    network.host.run("ip", "-6", "address", "del", "::6/128", "dev", "lo")
    assert redirector.check().reasons == ("the address ::6 is missing on lo",)
    redirector.repair()
    assert not redirector.check().reasons


def test_traffic_is_no_drift(network: Network, make: Make) -> None:
    network.listen(network.host, "0.0.0.0", 15001)
    redirector = make()
    redirector.apply()
    network.connect(network.host, PEER4, 8080)
    assert "packets 1" in network.host.run("nft", "list", "table", "inet", "hybrid_mesh")
    assert not redirector.check().reasons


def test_a_changed_resolv_conf_is_drift(network: Network, make: Make, etc: Path) -> None:
    redirector = make()
    redirector.apply()
    (etc / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    assert "nameservers" in redirector.check().reasons[0]
    redirector.repair()
    assert not redirector.check().reasons
    assert "192.0.2.53" in network.host.run("nft", "list", "table", "inet", "hybrid_mesh")


def test_what_was_removed_is_not_repaired(network: Network, make: Make) -> None:
    redirector = make()
    redirector.apply()
    redirector.remove()
    drift = redirector.repair()
    assert (drift.wanted, drift.applied, drift.reasons) == (False, False, ())
    assert network.host.run("nft", "list", "ruleset") == ""


def test_another_mode_takes_the_table_away(network: Network, make: Make) -> None:
    make().apply()
    assert make(mode="explicit").check().reasons
    assert make(mode="explicit").apply() is True
    assert network.host.run("nft", "list", "ruleset") == ""
