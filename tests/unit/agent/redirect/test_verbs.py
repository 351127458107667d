# SPDX-License-Identifier: Apache-2.0
"""The verbs with programs that are not there, that fail, and that are only noted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from mesh_agent.redirect.apply import Redirector
from mesh_agent.redirect.deadman import DeadMan
from mesh_agent.redirect.facts import Host, user_id
from mesh_agent.redirect.nft import Nftables, Outcome, run
from mesh_agent.redirect.record import RecordFile, RedirectStatus, read_status
from mesh_agent.redirect.render import REMOVAL
from mesh_agent.redirect.settings import RedirectSettings
from mesh_core.errors import MeshError

USERS = {"mesh-agent": 991, "mesh-proxy": 992, "backup": 105}


class Programs:
    """Stands for nft, ip, systemd-run and systemctl. ``fails`` maps a command's words to errors."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.table: str | None = None
        self.timer = False
        self.fails: dict[str, str] = {}

    def __call__(self, words: Sequence[str], text: str) -> Outcome:
        call = " ".join(words)
        self.calls.append(call)
        for part, errors in self.fails.items():
            if part in call:
                return Outcome(1, "", errors)
        if call == "nft --file -":
            self.table = None if text == REMOVAL else text
        elif "list table" in call:
            if self.table is None:
                return Outcome(1, "", "Error: No such file or directory\nlist table")
            rules = [
                {"rule": {"handle": n, "expr": line}}
                for n, line in enumerate(self.table.splitlines())
            ]
            return Outcome(0, json.dumps({"nftables": [{"metainfo": {}}, *rules]}), "")
        elif words[0] == "systemd-run":
            self.timer = True
        elif "is-active" in call:
            return Outcome(0 if self.timer else 3, "", "")
        elif "systemctl stop" in call:
            self.timer = False
        return Outcome(0, "", "")


@pytest.fixture
def programs() -> Programs:
    return Programs()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "resolv.conf").write_text("nameserver 10.0.0.2\n")
    return tmp_path


@pytest.fixture
def redirector(programs: Programs, root: Path) -> Redirector:
    return Redirector(
        RedirectSettings(),
        ("10.0.0.1",),
        host=Host(root, USERS.__getitem__),
        nftables=Nftables(programs),
        record=RecordFile(root / "run"),
        deadman=DeadMan(("mesh-agent", "redirect", "remove"), programs),
    )


def test_the_table_is_checked_before_it_is_loaded(
    redirector: Redirector, programs: Programs
) -> None:
    redirector.apply()
    changing = [call for call in programs.calls if call.startswith("nft --")]
    assert changing[-3:] == [
        "nft --check --file -",
        "nft --file -",
        "nft --json list table inet hybrid_mesh",
    ]


def test_nothing_is_applied_when_nft_refuses(
    redirector: Redirector, programs: Programs, root: Path
) -> None:
    programs.fails["--check"] = "syntax error"
    with pytest.raises(MeshError, match=r"^nft refuses the table: syntax error"):
        redirector.apply(confirm_within=30)
    assert (programs.table, programs.timer) == (None, False)
    assert read_status(root / "run") == RedirectStatus(False, ())


def test_unconfirmed_it_would_be_removed(redirector: Redirector, programs: Programs) -> None:
    redirector.apply(confirm_within=45)
    (timer,) = [call for call in programs.calls if call.startswith("systemd-run")]
    assert "--on-active=45s" in timer
    assert "--unit=mesh-redirect-deadman" in timer
    assert timer.endswith("-- mesh-agent redirect remove")
    # Armed before anything changes, as the change may be what cuts us off.
    assert programs.calls.index(timer) < programs.calls.index("nft --file -")
    assert redirector.confirm() is True
    assert not programs.timer
    assert redirector.confirm() is False


def test_confirmation_that_comes_too_late(redirector: Redirector) -> None:
    redirector.apply(confirm_within=1)
    redirector.remove()
    with pytest.raises(MeshError, match=r"^nothing to confirm: redirection is not applied"):
        redirector.confirm()


def test_without_a_timer_nothing_is_applied(redirector: Redirector, programs: Programs) -> None:
    programs.fails["systemd-run"] = "Failed to connect to bus"
    with pytest.raises(MeshError, match="Failed to connect to bus; nothing was applied"):
        redirector.apply(confirm_within=30)
    assert programs.table is None


def test_the_timer_stops_when_loading_fails(redirector: Redirector, programs: Programs) -> None:
    programs.fails["nft --file"] = "Operation not permitted"
    with pytest.raises(MeshError, match="could not load the table: Operation not permitted"):
        redirector.apply(confirm_within=30)
    assert not programs.timer


def test_what_is_in_force_is_left_alone(redirector: Redirector, programs: Programs) -> None:
    assert redirector.apply() is True
    programs.calls.clear()
    assert redirector.apply(confirm_within=30) is False
    assert not [c for c in programs.calls if "--file" in c or c.startswith("systemd-run")]


def test_planning_changes_nothing(redirector: Redirector, programs: Programs) -> None:
    text = redirector.plan_text()
    assert text.startswith("# inbound: IPv4 TCP")
    assert "\ntable inet hybrid_mesh {\n" in text
    assert programs.calls == []


def test_status_tells_what_the_last_check_found(
    redirector: Redirector, programs: Programs, root: Path
) -> None:
    redirector.apply()
    assert read_status(root / "run") == RedirectStatus(True, ())
    assert (root / "run" / "redirect.json").stat().st_mode & 0o777 == 0o644
    programs.table = None
    redirector.check()
    assert read_status(root / "run") == RedirectStatus(True, ("the table is gone",))
    redirector.repair()
    assert read_status(root / "run") == RedirectStatus(True, ())
    table, programs.table = programs.table, None
    redirector.check()
    programs.table = table  # somebody else put it right
    assert not redirector.repair().reasons
    assert read_status(root / "run") == RedirectStatus(True, ())
    redirector.remove()
    assert read_status(root / "run") == RedirectStatus(False, ())


def test_a_record_that_cannot_be_read_is_drift(redirector: Redirector, root: Path) -> None:
    redirector.apply()
    (root / "run" / "redirect.json").write_text("{")
    assert redirector.check().reasons == (
        "the table is there, but it is not known what was applied",
    )
    redirector.repair()
    assert not redirector.check().reasons


def test_an_order_of_rules_is_compared(redirector: Redirector, programs: Programs) -> None:
    redirector.apply()
    assert programs.table
    programs.table = "\n".join(reversed(programs.table.splitlines()))
    assert redirector.check().reasons == ("the table was changed: another order of rules",)


def test_nft_without_rights_is_told(redirector: Redirector, programs: Programs) -> None:
    programs.fails["list table"] = "Operation not permitted (you must be root)\nmore"
    with pytest.raises(MeshError, match=r"^nft could not list the table: .*you must be root\)$"):
        redirector.check()


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MeshError, match=r"^nft: not found on this host; install nftables$"):
        run(["nft", "list", "ruleset"])


def test_users() -> None:
    assert user_id("root") == 0
    assert user_id("1234") == 1234
    with pytest.raises(MeshError, match=r"^user 'no-such-user': expected a user of this host"):
        user_id("no-such-user")


def test_facts(tmp_path: Path) -> None:
    files = {
        "etc/resolv.conf": 'nameserver 10.0.0.2\nnameserver fe80::1%eth0\nnameserver fe80::2%x"y\n',
        "etc/ssh/sshd_config": "#Port 1\nPort 2222\n  port=2223\nListenAddress 10.0.0.1:2224\n"
        "ListenAddress [fd00::1]:2225\nListenAddress fd00::1\n"
        "ListenAddress host.example\nAcceptEnv Port 9\n",
        "etc/ssh/sshd_config.d/10.conf": "Port 2226\n",
        "etc/systemd/system/ssh.socket.d/a.conf": "[Socket]\nListenStream=\nListenStream=2227\n",
        "run/systemd/system/ssh.socket.d/b.conf": "[Socket]\nListenStream=0.0.0.0:2228\n",
        "sys/class/net/br-0123456789ab/x": "",
        "sys/class/net/br-lan/x": "",
        "sys/class/net/eth0/x": "",
        "proc/net/if_inet6": "00000000000000000000000000000001 01 80 10 80       lo\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    settings = RedirectSettings(exclude_users=("backup",))
    facts = Host(tmp_path, USERS.__getitem__).facts(settings, ["10.0.0.1"])
    assert (facts.agent_uid, facts.proxy_uid, facts.excluded_uids) == (991, 992, (105,))
    assert facts.nameservers == ("10.0.0.2", "fe80::1%eth0")
    assert facts.ssh_ports == tuple(range(2222, 2229))
    assert facts.bridges == ("br-0123456789ab",)
    assert facts.addresses == ("10.0.0.1",)
    assert facts.ipv6


def test_facts_of_a_bare_host(tmp_path: Path) -> None:
    facts = Host(tmp_path, USERS.__getitem__).facts(RedirectSettings(), [])
    assert facts.nameservers == ("127.0.0.1",)
    assert facts.ssh_ports == ()
    assert facts.bridges == ()
    assert not facts.ipv6


@pytest.mark.parametrize("content", [None, "", "0001 01 80 10 80       lo\n"])
def test_a_kernel_can_ipv6_before_there_are_addresses(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "proc/net").mkdir(parents=True)
        (tmp_path / "proc/net/if_inet6").write_text(content)
    assert Host(tmp_path).can_ipv6() is (content is not None)
    assert Host(tmp_path).has_ipv6() is bool(content)


def test_ipv6_that_is_off_on_loopback_is_told(programs: Programs) -> None:
    programs.fails["ip -6 address replace"] = "RTNETLINK answers: Permission denied\n"
    expected = r"add ::6 to lo: enable IPv6 there \(net\.ipv6\.conf\.lo\.disable_ipv6\), or set "
    with pytest.raises(MeshError, match=expected):
        Nftables(programs).add_source_address()
