# SPDX-License-Identifier: Apache-2.0
"""Questions about the mesh to answers, as bytes (pure, the hot path).

An answer is remembered under the raw bytes of its question, and if it is always the same, whole
under the bytes of the whole message. Every record's owner is a compression
pointer, to the question or to the alias's target, so records do not depend on the name they are
asked for under. A mesh name is a zone of its own: it owns the SOA record by which resolvers
remember that a type is not there (RFC 2308).
"""

from __future__ import annotations

import struct
from typing import Final, TypeVar

from mesh_agent.dns import wire
from mesh_agent.dns.names import ROOT
from mesh_agent.dns.table import Host, NameIndex
from mesh_agent.dns.wire import HEADER_BYTES, QUESTION_POINTER, Prepared

T = TypeVar("T")

_REMEMBERED: Final = 4096
_CNAME_FIXED_BYTES: Final = 12  # owner pointer, type, class, TTL, length
_SOA_REST: Final = b"\x06nobody\x07invalid\0" + struct.pack(
    "!IIIII", 1, 3600, 600, 86400, wire.TTL_SECONDS
)


class Responder:
    """Answers what ``index`` knows. Immutable but for what it remembers."""

    def __init__(self, index: NameIndex, search: bytes | None = None) -> None:
        """``search`` is the host's search domain in wire form, see ``NameIndex.lookup``."""
        self._index = index
        self._search = search
        self._remembered: dict[bytes, Prepared] = {}
        self._whole: dict[bytes, bytes] = {}

    def respond(self, query: bytes, *, datagram: bool) -> bytes | None:
        """Return the answer to ``query``, or None when it is not about the mesh.

        Empty bytes mean that nothing should be sent: the message was not a question. ``datagram``
        says that the answer must not be larger than the client takes.
        """
        if datagram and (rest := self._whole.get(query[2:])):
            return query[:2] + rest
        end = query.find(ROOT, HEADER_BYTES) + 5
        prepared = self._remembered.get(query[HEADER_BYTES:end])
        if prepared is None or query[2] & 0xF8 or query[4:6] != b"\0\1":
            return self._respond_slowly(query, datagram)
        reply = wire.answer(query, end, prepared, datagram=datagram)
        if datagram and len(prepared.records) < 2 and wire.is_plain(query, end):
            _remember(self._whole, query[2:], reply[2:])  # the same each time but for the id
        return reply

    def _respond_slowly(self, query: bytes, datagram: bool) -> bytes | None:
        if len(query) < HEADER_BYTES or query[2] & 0x80:  # an answer is never answered
            return b""
        if query[2] & 0x78:
            return wire.failure(query, wire.NOTIMP)
        end = wire.question_end(query)
        if end is None or query[4:6] != b"\0\1":
            return wire.failure(query, wire.FORMERR)
        name = query[HEADER_BYTES : end - 4].lower()
        kind, family = struct.unpack_from("!HH", query, end - 4)
        if kind in (wire.AXFR, wire.IXFR):
            return wire.failure(query, wire.REFUSED)
        prepared = self._prepare(name, kind) if family == wire.IN else None
        if prepared is None:
            return None
        if query[HEADER_BYTES : end - 4] == name:
            _remember(self._remembered, query[HEADER_BYTES:end], prepared)
        return wire.answer(query, end, prepared, datagram=datagram)

    def _prepare(self, name: bytes, kind: int) -> Prepared | None:
        match = self._index.lookup(name, self._search)
        if match is None:
            return self._prepare_pointer(name, kind)
        head, owner = b"", QUESTION_POINTER
        if match.alias is not None:
            target = HEADER_BYTES + len(name) + 4 + _CNAME_FIXED_BYTES
            head, owner = wire.record(owner, wire.CNAME, match.alias), _pointer(target)
        records = _addresses(match.host, kind, owner)
        return Prepared(head=head, records=records, tail=b"" if records else _soa(owner))

    def _prepare_pointer(self, name: bytes, kind: int) -> Prepared | None:
        host = self._index.pointers.get(name)
        if host is None:
            return None
        if kind in (wire.PTR, wire.ANY):
            return Prepared(records=(wire.record(QUESTION_POINTER, wire.PTR, host),))
        return Prepared(tail=_soa(QUESTION_POINTER))


def _remember(where: dict[bytes, T], key: bytes, value: T) -> None:
    if len(where) >= _REMEMBERED:
        where.clear()
    where[key] = value


def _addresses(host: Host, kind: int, owner: bytes) -> tuple[bytes, ...]:
    ipv4 = host.ipv4 if kind in (wire.A, wire.ANY) else ()
    ipv6 = host.ipv6 if kind in (wire.AAAA, wire.ANY) else ()
    return (
        *(wire.record(owner, wire.A, address) for address in ipv4),
        *(wire.record(owner, wire.AAAA, address) for address in ipv6),
    )


def _pointer(offset: int) -> bytes:
    return struct.pack("!H", 0xC000 | offset)


def _soa(owner: bytes) -> bytes:
    return wire.record(owner, wire.SOA, owner + _SOA_REST)
