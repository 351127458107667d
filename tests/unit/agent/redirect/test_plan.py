# SPDX-License-Identifier: Apache-2.0
"""Plans as data and as text; ``golden/*.nft`` hold the whole text of some."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mesh_agent.redirect.nft import Nftables
from mesh_agent.redirect.node import on_node
from mesh_agent.redirect.plan import HostFacts, Plan, make_plan
from mesh_agent.redirect.render import REMOVAL, describe, fingerprint, render
from mesh_agent.redirect.settings import RedirectSettings
from mesh_core.config import parse
from mesh_core.errors import ConfigError
from tests.unit.agent.redirect.conftest import Network

GOLDEN = Path(__file__).parent / "golden"

FACTS = HostFacts(
    agent_uid=991,
    proxy_uid=992,
    nameservers=("10.231.1.254",),
    ssh_ports=(22,),
    addresses=("10.231.1.21",),
)
DUAL = HostFacts(
    agent_uid=991,
    proxy_uid=992,
    excluded_uids=(105,),
    nameservers=("10.231.1.254", "fd31:1::fe", "fe80::1%eth0"),
    ssh_ports=(2222,),
    bridges=("br-0123456789ab",),
    addresses=("10.231.1.21", "fd31:1::21"),
)
CASES = {
    "ipv4": (RedirectSettings(), FACTS),
    "everything": (
        RedirectSettings(
            exclude_inbound_ports=(22, 9100),
            exclude_outbound_ports=(25, 587),
            exclude_outbound_cidrs=("10.0.0.0/8", "10.1.0.0/16", "fd00:99::/32"),
            exclude_interfaces=("tun*", "eth1"),
            exclude_users=("backup",),
        ),
        DUAL,
    ),
    "node": (
        on_node(RedirectSettings(include_outbound_cidrs=("240.240.0.0/16", "10.96.0.0/16")), (80,)),
        FACTS,
    ),
    "names_only": (RedirectSettings(inbound=False, outbound=False), FACTS),
    "inbound_only": (RedirectSettings(outbound=False, dns=False), FACTS),
    "outbound_only": (RedirectSettings(inbound=False, dns=False, ipv6=False), DUAL),
}


def plan_of(case: str) -> Plan:
    plan = make_plan(*CASES[case])
    assert plan is not None
    return plan


@pytest.mark.parametrize("case", CASES)
def test_the_text_is_the_expected_one(case: str) -> None:
    assert render(plan_of(case)) == (GOLDEN / f"{case}.nft").read_text()


@pytest.mark.needs_root
def test_nft_takes_every_one(network: Network) -> None:
    nftables = Nftables(network.host.runner)
    for case in CASES:
        nftables.check(render(plan_of(case)))
        nftables.load(render(plan_of(case)))
        assert nftables.table()
    nftables.load(REMOVAL)
    nftables.load(REMOVAL)
    assert nftables.table() is None


def test_no_two_plans_have_one_fingerprint() -> None:
    prints = {fingerprint(plan_of(case)) for case in CASES}
    assert len(prints) == len(CASES)
    assert all(f"plan_{fingerprint(plan_of(case))}" in render(plan_of(case)) for case in CASES)


@pytest.mark.parametrize("mode", ["explicit", "none"])
def test_other_modes_redirect_nothing(mode: str) -> None:
    assert make_plan(parse(RedirectSettings, {"mode": mode}, "x"), DUAL) is None


def test_all_off_is_nothing() -> None:
    assert make_plan(RedirectSettings(inbound=False, outbound=False, dns=False), DUAL) is None
    mute = HostFacts(agent_uid=1, proxy_uid=2)
    assert make_plan(RedirectSettings(inbound=False, outbound=False), mute) is None


@pytest.mark.parametrize("settings", [c[0] for c in CASES.values()])
@pytest.mark.parametrize("facts", [FACTS, DUAL])
def test_ssh_is_never_captured(settings: RedirectSettings, facts: HostFacts) -> None:
    plan = make_plan(settings, facts)
    assert plan is not None
    if plan.inbound:
        assert {22, *facts.ssh_ports} <= set(plan.inbound.ports)


@pytest.mark.parametrize(
    ("ipv6", "facts", "expected"),
    [
        ("auto", DUAL, True),
        ("auto", FACTS, False),
        ("auto", dataclasses.replace(FACTS, ipv6=True), True),
        (True, FACTS, True),
        (False, dataclasses.replace(DUAL, ipv6=True), False),
    ],
)
def test_ipv6(ipv6: object, facts: HostFacts, expected: bool) -> None:
    plan = make_plan(parse(RedirectSettings, {"ipv6": ipv6}, "x"), facts)
    assert plan is not None
    assert plan.ipv6 is expected


def test_ipv6_nameservers_count_unless_ipv6_is_off() -> None:
    facts = HostFacts(agent_uid=1, proxy_uid=2, nameservers=("10.0.0.2", "fd00::53"))
    plan = make_plan(RedirectSettings(), facts)
    assert plan and plan.names and plan.names.ipv6 == ("fd00::53",)
    plan = make_plan(RedirectSettings(ipv6=False), facts)
    assert plan and plan.names and plan.names.ipv6 == ()
    assert plan.notes == ("questions to fd00::53 are left alone: IPv6 is off",)


def test_beside_a_local_resolver_its_upstreams_are_left_alone() -> None:
    facts = HostFacts(agent_uid=1, proxy_uid=2, nameservers=("127.0.0.53", "10.0.0.2", "::1"))
    plan = make_plan(RedirectSettings(), facts)
    assert plan and plan.names
    assert (plan.names.ipv4, plan.names.ipv6) == (("127.0.0.53",), ("::1",))
    assert "10.0.0.2 are left alone" in plan.notes[0]


def test_link_local_nameservers_are_left_alone() -> None:
    facts = HostFacts(agent_uid=1, proxy_uid=2, nameservers=("10.0.0.2", "fe80::1%eth0"))
    plan = make_plan(RedirectSettings(), facts)
    assert plan and plan.names and plan.names.ipv6 == ()
    assert plan.notes == (
        "questions to fe80::1%eth0 are left alone: their addresses are link-local",
    )


def test_no_nameserver_is_noted() -> None:
    plan = make_plan(RedirectSettings(), HostFacts(agent_uid=1, proxy_uid=2))
    assert plan and plan.names is None
    assert "mesh names are not resolved" in plan.notes[0]


def test_the_plan_in_words() -> None:
    words = "\n".join(describe(plan_of("everything")))
    for part in (
        "IPv4 and IPv6 TCP to this host",
        "not to ports 22, 2222, 9100, 15001",
        "br-0123456789ab",
        "not to ports 25, 587",
        "10.0.0.0/8, 169.254.0.0/16",
        "questions to 10.231.1.254, fd31:1::fe go",
        "users 105, 991, 992",
        "interfaces eth1, tun*",
    ):
        assert part in words
    assert "10.1.0.0/16" not in words


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("mode", "transparant", "expected transparent"),
        ("exclude_inbound_ports", [0], r"exclude_inbound_ports\[0\]: expected a port"),
        ("exclude_outbound_ports", [1, 65536], r"exclude_outbound_ports\[1\]"),
        ("exclude_outbound_cidrs", ["10.0.0.1/8"], r"\[0\]: 10.0.0.1/8 has host bits set"),
        ("exclude_interfaces", ['x" accept'], r"exclude_interfaces\[0\]: expected an interface"),
        ("exclude_interfaces", ["sixteen-chars-xx"], "at most 15"),
        ("exclude_interfaces", ["*"], "expected an interface"),
        ("ipv6", "yes please", "expected auto"),
    ],
)
def test_bad_settings_are_named(key: str, value: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"^redirect.yaml: .*{problem}"):
        parse(RedirectSettings, {key: value}, "redirect.yaml")
