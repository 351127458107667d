# SPDX-License-Identifier: Apache-2.0
"""Names outside the mesh, with resolvers that fail in the ways that resolvers do."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from mesh_agent.dns import service
from tests.unit.agent.dns.conftest import Lab, Reply, Start, Upstream, name_table, until


def saying(code: dns.rcode.Rcode) -> Reply:
    def reply(query: dns.message.Message, _: bool) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(code)
        return response

    return reply


def big(query: dns.message.Message, tcp: bool) -> dns.message.Message:
    response = dns.message.make_response(query)
    if not tcp:
        response.flags |= dns.flags.TC
        return response
    texts = [f'"{n:0100}"' for n in range(30)]
    response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", *texts))
    return response


@pytest.mark.parametrize("tcp", [False, True])
async def test_other_names_are_forwarded(lab: Lab, upstream: Upstream, tcp: bool) -> None:
    response = await lab.ask("www.Example.org", tcp=tcp)
    assert str(response.answer[0][0]) == "192.0.2.7"
    assert str(response.question[0].name) == "www.Example.org."
    assert upstream.names == ["www.Example.org."]


@pytest.mark.parametrize("table", [None, b""])
async def test_without_mesh_names_everything_is_forwarded(
    start: Start, table: bytes | None
) -> None:
    async with start(table) as lab:
        assert await lab.addresses("www.example.org") == {"192.0.2.7"}
        assert lab.service.status().ready == (table is not None)


async def test_ids_and_ports_are_new_each_time(lab: Lab, upstream: Upstream) -> None:
    for number in range(20):
        await lab.ask(f"n{number}.example.org")
    assert len({query.id for query, _, _ in upstream.asked}) > 15
    assert len({client[1] for _, client, _ in upstream.asked}) > 15


async def test_options_pass_through(lab: Lab, upstream: Upstream) -> None:
    query = dns.message.make_query("www.example.org", "A", want_dnssec=True, payload=4000)
    await dns.asyncquery.udp(query, "127.0.0.1", port=lab.port, timeout=10)
    asked = upstream.asked[0][0]
    assert (asked.payload, asked.ednsflags) == (4000, query.ednsflags)


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP])
async def test_an_error_makes_the_next_one_asked(
    start: Start, upstreams: list[Upstream], code: dns.rcode.Rcode
) -> None:
    upstreams[0].reply = saying(code)
    async with start(upstreams=tuple(u.text for u in upstreams)) as lab:
        assert await lab.addresses("www.example.org") == {"192.0.2.7"}
        upstreams[1].reply = saying(dns.rcode.REFUSED)
        assert (await lab.ask("two.example.org")).rcode() == dns.rcode.REFUSED


async def test_nxdomain_is_an_answer(start: Start, upstreams: list[Upstream]) -> None:
    upstreams[0].reply = saying(dns.rcode.NXDOMAIN)
    async with start(upstreams=tuple(u.text for u in upstreams)) as lab:
        assert (await lab.ask("no.example.org")).rcode() == dns.rcode.NXDOMAIN
        assert upstreams[1].asked == []


async def test_a_mute_upstream_costs_one_question_a_moment_and_then_none(
    start: Start, upstreams: list[Upstream]
) -> None:
    upstreams[0].reply = lambda *_: None
    async with start(upstreams=tuple(u.text for u in upstreams)) as lab:
        assert await lab.addresses("one.example.org") == {"192.0.2.7"}
        assert upstreams[0].names == ["one.example.org."]
        assert await lab.addresses("two.example.org") == {"192.0.2.7"}
        assert upstreams[0].names == ["one.example.org."]


async def test_a_closed_port_is_no_wait(start: Start, upstream: Upstream) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{free.getsockname()[1]}"
    async with start(upstreams=(closed, upstream.text), forward_timeout_seconds=30.0) as lab:
        async with asyncio.timeout(5):
            assert await lab.addresses("www.example.org") == {"192.0.2.7"}


async def test_a_lost_datagram_is_sent_again(lab: Lab, upstream: Upstream) -> None:
    answers = iter([False])
    upstream.reply = lambda q, tcp: upstream.answer(q, tcp) if next(answers, True) else None
    assert await lab.addresses("www.example.org") == {"192.0.2.7"}
    assert len(upstream.asked) == 2


async def test_servfail_in_bounded_time_when_nobody_answers(lab: Lab, upstream: Upstream) -> None:
    upstream.reply = lambda *_: None
    began = time.monotonic()
    response = await lab.ask("www.example.org", edns=1232)
    assert response.rcode() == dns.rcode.SERVFAIL
    assert time.monotonic() - began < 1.5  # twice 0.4 s, and a slow machine
    assert await lab.addresses("api.shop") == {"10.0.0.1"}


async def test_answers_to_other_questions_are_not_believed(lab: Lab, upstream: Upstream) -> None:
    def lying(query: dns.message.Message, _: bool) -> dns.message.Message:
        for fake in (
            dns.message.make_query("evil.example.org", "A", id=query.id),
            dns.message.make_query("www.example.org", "A", id=query.id ^ 1),
        ):
            upstream.udp.sendto(upstream.answer(fake, False).to_wire(), upstream.asked[-1][1])
        response = upstream.answer(query, False)
        response.answer[0] = dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.8")
        return response

    upstream.reply = lying
    assert await lab.addresses("www.example.org") == {"192.0.2.8"}


async def test_big_answers_come_by_tcp_and_fit_the_client(lab: Lab, upstream: Upstream) -> None:
    upstream.reply = big
    response = await lab.ask("big.example.org", "TXT", edns=4096)
    assert not response.flags & dns.flags.TC
    assert len(response.answer[0]) == 30
    response = await lab.ask("big.example.org", "TXT")
    assert response.flags & dns.flags.TC
    assert not response.answer
    assert len((await lab.ask("big.example.org", "TXT", tcp=True)).answer[0]) == 30
    assert [tcp for _, _, tcp in upstream.asked] == [False, True] * 3


async def test_an_upstream_without_tcp_leaves_the_answer_cut(start: Start) -> None:
    upstream = Upstream()
    await upstream.start(tcp=False)
    upstream.reply = big
    try:
        async with start(upstreams=(upstream.text,)) as lab:
            assert (await lab.ask("big.example.org", "TXT", edns=4096)).flags & dns.flags.TC
    finally:
        upstream.stop()


async def test_the_same_question_is_asked_once_at_a_time(lab: Lab, upstream: Upstream) -> None:
    release = asyncio.Event()
    held: list[tuple[dns.message.Message, tuple[str, int]]] = []

    def hold(query: dns.message.Message, _: bool) -> None:
        held.append((query, upstream.asked[-1][1]))
        release.set()

    upstream.reply = hold
    clients = [asyncio.create_task(lab.ask("www.example.org")) for _ in range(10)]
    await release.wait()
    query, address = held[0]
    upstream.udp.sendto(upstream.answer(query, False).to_wire(), address)
    assert all(r.rcode() == dns.rcode.NOERROR for r in await asyncio.gather(*clients))
    assert len(upstream.asked) == 1


async def test_an_upstream_that_asks_us_is_no_endless_circle(
    start: Start, upstream: Upstream
) -> None:
    async with start() as lab:
        asking = []

        def back(query: dns.message.Message, _: bool) -> None:
            asking.append(asyncio.create_task(lab.ask(str(query.question[0].name))))

        upstream.reply = back
        response = await lab.ask("www.example.org")
        assert response.rcode() == dns.rcode.SERVFAIL
        assert len(upstream.asked) <= 4
        await asyncio.gather(*asking)


async def test_our_own_address_is_no_upstream(
    start: Start, sockets: list[socket.socket], upstream: Upstream
) -> None:
    own = f"127.0.0.1:{sockets[0].getsockname()[1]}"
    async with start(upstreams=(own, upstream.text)) as lab:
        assert lab.service.status().upstreams == (upstream.text,)


async def test_clients_over_the_limit_get_servfail(start: Start, upstream: Upstream) -> None:
    upstream.reply = lambda *_: None
    async with start(name_table(), max_forwards=5, forward_timeout_seconds=1.0) as lab:
        clients = [asyncio.create_task(lab.ask(f"n{n}.example.org")) for n in range(20)]
        done, _ = await asyncio.wait(clients, timeout=0.5)
        assert len(done) == 15
        assert {task.result().rcode() for task in done} == {dns.rcode.SERVFAIL}
        assert await lab.addresses("api.shop") == {"10.0.0.1"}
        await asyncio.gather(*clients)


async def test_another_search_domain_counts_from_the_first_question_on(
    start: Start, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing looks at the file while nobody asks."""
    monkeypatch.setattr(service, "_LOOK_EVERY_SECONDS", 0.0)
    path = tmp_path / "host.conf"
    path.write_text("search one.example\n")
    async with start(name_table(), resolv_conf=path) as lab:
        path.write_text("search two.example\n")
        assert (await lab.ask("api.two.example")).answer
        assert upstream.asked == []


async def test_changes_of_resolv_conf_are_followed(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "host.conf"
    path.write_text("nameserver 192.0.2.1\nsearch one.example\n")
    async with start(name_table(), upstreams=(), resolv_conf=path) as lab:
        assert lab.service.status().upstreams == ("192.0.2.1:53",)
        assert (await lab.ask("api.one.example")).answer
        path.write_text("nameserver 192.0.2.2\nnameserver fd00::53\nsearch two.example\n")
        expected = ("192.0.2.2:53", "[fd00::53]:53")
        await until(lambda: lab.service.status().upstreams == expected)
        assert (await lab.ask("api.two.example")).answer
