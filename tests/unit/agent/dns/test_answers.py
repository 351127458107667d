# SPDX-License-Identifier: Apache-2.0
"""Mesh names over real sockets, read by another implementation of DNS."""

from __future__ import annotations

import asyncio
import random
import socket

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from mesh_agent.dns.answers import Responder
from mesh_agent.dns.names import to_wire
from mesh_agent.dns.table import HostRecord, build_index
from mesh_agent.dns.wire import is_answer
from tests.unit.agent.dns.conftest import SERVICES, Lab, Upstream

API = f"api.shop.{SERVICES}"


@pytest.mark.parametrize("tcp", [False, True])
async def test_addresses_by_udp_and_tcp(lab: Lab, tcp: bool) -> None:
    assert await lab.addresses(API, tcp=tcp) == {"10.0.0.1"}
    assert await lab.addresses(f"both.shop.{SERVICES}", "AAAA", tcp=tcp) == {"fd00::2"}


async def test_flags_ttl_and_the_case_of_the_question(lab: Lab) -> None:
    response = await lab.ask("aPI.shop.SVC.cluster.local.")
    assert response.flags & (dns.flags.QR | dns.flags.AA | dns.flags.RA | dns.flags.RD)
    assert response.answer[0].ttl == 30
    assert str(response.question[0].name) == "aPI.shop.SVC.cluster.local."


async def test_a_missing_family_is_nodata_with_soa(lab: Lab, upstream: Upstream) -> None:
    for name, kind in ((API, "AAAA"), (f"six.shop.{SERVICES}", "A")):
        response = await lab.ask(name, kind)
        assert response.rcode() == dns.rcode.NOERROR
        assert not response.answer
        (soa,) = response.authority
        assert soa.rdtype == dns.rdatatype.SOA
        assert (soa.ttl, soa[0].minimum) == (30, 30)
        assert response.question[0].name == soa.name
    assert upstream.asked == []


@pytest.mark.parametrize("kind", ["MX", "TXT", "SRV", "NS", "HTTPS", "CNAME", "SOA", "TYPE97"])
async def test_other_types_of_mesh_names_do_not_leak(
    lab: Lab, upstream: Upstream, kind: str
) -> None:
    response = await lab.ask(API, kind)
    assert response.rcode() == dns.rcode.NOERROR
    assert not response.answer
    assert response.authority
    assert upstream.asked == []


async def test_any_gives_both_families(lab: Lab) -> None:
    response = await lab.ask(f"both.shop.{SERVICES}", "ANY")
    assert {str(i) for r in response.answer for i in r} == {"10.0.0.2", "fd00::2"}


async def test_an_alias_is_a_cname_with_its_addresses(lab: Lab) -> None:
    response = await lab.ask("api.corp.example")
    alias, address = response.answer
    assert (alias.rdtype, str(alias[0])) == (dns.rdatatype.CNAME, f"{API}.")
    assert (str(address.name), str(address[0])) == (f"{API}.", "10.0.0.1")
    response = await lab.ask("api.corp.example", "AAAA")
    assert [r.rdtype for r in response.answer] == [dns.rdatatype.CNAME]
    assert str(response.authority[0].name) == f"{API}."


async def test_wildcards(lab: Lab) -> None:
    response = await lab.ask("x.wild.example.com")
    assert str(response.answer[0].name) == "x.wild.example.com."
    response = await lab.ask("x.wild.example.com.corp.example")
    assert str(response.answer[0][0]) == "x.wild.example.com."
    assert str(response.answer[1][0]) == "240.240.0.2"


async def test_pointers(lab: Lab, upstream: Upstream) -> None:
    response = await lab.ask("1.0.0.10.in-addr.arpa", "PTR")
    assert str(response.answer[0][0]) == f"{API}."
    assert (await lab.ask("1.0.0.10.in-addr.arpa", "A")).authority
    assert upstream.asked == []
    await lab.ask("9.9.9.9.in-addr.arpa", "PTR")
    assert upstream.names == ["9.9.9.9.in-addr.arpa."]


async def test_addresses_come_in_changing_order(lab: Lab) -> None:
    name = f"many.shop.{SERVICES}"
    responses = [await lab.ask(name, edns=4096) for _ in range(5)]
    orders = [tuple(map(str, r.answer[0])) for r in responses]
    assert {frozenset(order) for order in orders} == {frozenset(orders[0])}
    assert len(orders[0]) == 100
    assert len(set(orders)) > 1


async def test_what_does_not_fit_is_cut_and_whole_by_tcp(lab: Lab) -> None:
    name = f"many.shop.{SERVICES}"
    for edns, expected in ((None, 512), (100, 512), (1000, 1000)):
        response = await lab.ask(name, edns=edns)
        assert response.flags & dns.flags.TC
        assert expected - 16 - 11 < len(response.to_wire()) <= expected
    assert len(await lab.addresses(name, tcp=True)) == 100
    assert not (await lab.ask(name, edns=4096)).flags & dns.flags.TC


async def test_edns_is_answered_with_our_own(lab: Lab) -> None:
    for name, kind in ((API, "A"), (API, "AAAA"), (f"many.shop.{SERVICES}", "A")):
        assert (await lab.ask(name, kind)).edns == -1
        assert (await lab.ask(name, kind, edns=4096)).payload == 1232
    query = dns.message.make_query(API, "A", want_dnssec=True)
    response = dns.message.from_wire(await lab.send(query.to_wire()) or b"")
    assert response.ednsflags & dns.flags.DO
    assert not response.options


async def test_an_edns_version_of_the_future_is_badvers(lab: Lab) -> None:
    query = dns.message.make_query(API, "A")
    query.use_edns(1)
    response = dns.message.from_wire(await lab.send(query.to_wire()) or b"")
    assert response.rcode() == dns.rcode.BADVERS
    assert not response.answer


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        ("abcd 2000 0001 0000 0000 0000 00 0001 0001", dns.rcode.NOTIMP),  # opcode 4
        ("abcd 0100 0000 0000 0000 0000", dns.rcode.FORMERR),  # no question
        ("abcd 0100 0002 0000 0000 0000 00 0001 0001 00 0001 0001", dns.rcode.FORMERR),
        ("abcd 0100 0001 0000 0000 0000 05 6162", dns.rcode.FORMERR),  # cut short
        ("abcd 0100 0001 0000 0000 0000 c00c 0001 0001", dns.rcode.FORMERR),  # a pointer
        ("abcd 0100 0001 0000 0000 0000 0161 00 00fc 0001", dns.rcode.REFUSED),  # AXFR
        (
            "abcd 0100 0001 0000 0000 0000"
            + "3f"
            + "61" * 63
            + "3f"
            + "61" * 63
            + "3f"
            + "61" * 63
            + "3f"
            + "61" * 63
            + "00 0001 0001",
            dns.rcode.FORMERR,
        ),  # 257 bytes
    ],
)
async def test_malformed_questions_are_told_so(lab: Lab, wire: str, code: int) -> None:
    reply = await lab.send(bytes.fromhex(wire))
    assert reply is not None
    assert reply[:2] == b"\xab\xcd"
    assert reply[3] & 15 == code


@pytest.mark.parametrize("wire", ["", "00", "abcd 8180 0001 0000 0000 0000 00 0001 0001"])
async def test_what_is_no_question_gets_nothing(lab: Lab, wire: str) -> None:
    assert await lab.send(bytes.fromhex(wire)) is None


async def test_garbage_never_stops_the_service(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Random bytes, and good questions with bytes changed, cut off and put on."""
    dice = random.Random(1)  # noqa: S311 - the same garbage each time
    good = dns.message.make_query(API, "A", use_edns=0).to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(4000):
            data = bytearray(dice.randbytes(dice.randrange(60)) if number % 2 else good)
            for _ in range(dice.randrange(3)):
                if data:
                    data[dice.randrange(len(data))] = dice.randrange(256)
            data = data[: dice.randrange(len(data) + 1)] + dice.randbytes(dice.randrange(4))
            sock.sendto(data, ("127.0.0.1", lab.port))
            if number % 50 == 0:
                await asyncio.sleep(0)
    assert await lab.addresses(API) == {"10.0.0.1"}
    assert not lab.task.done()
    assert [r.getMessage() for r in caplog.records if r.exc_info] == []


def test_a_responder_takes_any_bytes() -> None:
    """The same without sockets, so that an exception would not be caught on the way."""
    dice = random.Random(2)  # noqa: S311 - the same garbage each time
    names = build_index(
        [HostRecord(API, ("10.0.0.1", "fd00::1"), "Kubernetes", "api", "shop")], namespace="shop"
    )
    responder = Responder(names, to_wire("corp.example"))
    good = dns.message.make_query("api.corp.example", "AAAA", use_edns=0).to_wire()
    for _ in range(20000):
        data = bytearray(good)
        for _ in range(dice.randrange(4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        query = bytes(data[: dice.randrange(len(data) + 1)])
        reply = responder.respond(query, datagram=True)
        if reply:
            if not query[2] & 0x78:
                dns.message.from_wire(reply)
            assert reply[:2] == query[:2]


def test_remembered_answers_are_bounded_and_the_same() -> None:
    names = build_index([HostRecord("*.example.com", ("10.0.0.1",))], namespace="shop")
    responder = Responder(names)
    for number in range(10000):
        query = dns.message.make_query(f"n{number}.example.com", "A").to_wire()
        assert responder.respond(query, datagram=True) == responder.respond(query, datagram=True)
    assert len(responder._remembered) <= 4096
    assert len(responder._whole) <= 4096


def test_a_whole_answer_is_given_again_only_to_the_very_same_question() -> None:
    """Flags, EDNS, case and the way it came: each has its own answer, whatever came before."""
    names = build_index([HostRecord("a.example", ("10.0.0.1",))], namespace="shop")
    queries = []
    for name in ("a.example", "A.example"):
        for flags in (0, dns.flags.RD, dns.flags.RD | dns.flags.CD):
            for edns in (-1, 0, 1):
                query = dns.message.make_query(name, "A", id=len(queries))
                query.flags = dns.flags.Flag(flags)
                if edns >= 0:
                    query.use_edns(edns, ednsflags=dns.flags.DO if flags else 0)
                queries.append(query.to_wire())
    queries += [query + b"x" for query in queries] + [query[:-1] for query in queries]
    responder = Responder(names)
    for _ in range(3):
        for query in queries:
            for datagram in (True, False):
                fresh = Responder(names).respond(query, datagram=datagram)
                assert responder.respond(query, datagram=datagram) == fresh
    assert 0 < len(responder._whole) <= len(queries)


def test_what_counts_as_an_answer() -> None:
    query = dns.message.make_query("a.example", "A", id=1)
    good = dns.message.make_response(query).to_wire()
    assert is_answer(query.to_wire(), good)
    assert is_answer(query.to_wire(), good.replace(b"example", b"EXAMPLE"))
    assert not is_answer(query.to_wire(), b"\0\2" + good[2:])
    assert not is_answer(query.to_wire(), good.replace(b"example", b"elpmaxe"))
    assert not is_answer(query.to_wire(), query.to_wire())
    assert not is_answer(query.to_wire(), good[:11])
    assert is_answer(query.to_wire(), b"\0\1\x80\1" + bytes(8))
    assert not is_answer(query.to_wire(), b"\0\1\x80\0" + bytes(8))
