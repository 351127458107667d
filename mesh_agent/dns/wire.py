# SPDX-License-Identifier: Apache-2.0
"""DNS messages as bytes, taken apart and put together by hand (pure, the hot path).

RFC 1035 section 4.1 for the layout, RFC 6891 for the OPT record.
"""

from __future__ import annotations

import random
import struct
from typing import Final

TTL_SECONDS: Final = 30
PAYLOAD_BYTES: Final = 1232
"""The datagram size that we announce (DNS flag day 2020)."""
MINIMUM_BYTES: Final = 512
"""What every client takes."""
MAXIMUM_BYTES: Final = 65535
"""What a message's length can say in a stream."""
HEADER_BYTES: Final = 12

A, CNAME, SOA, PTR, AAAA, IXFR, AXFR, ANY = 1, 5, 6, 12, 28, 251, 252, 255
IN: Final = 1
NOERROR, FORMERR, SERVFAIL, NOTIMP, REFUSED = 0, 1, 2, 4, 5

QUESTION_POINTER: Final = b"\xc0\x0c"
"""A record's owner: the name in the question."""

_QR, _OPCODE, _AA, _TC, _RD, _RA, _CD = 0x8000, 0x7800, 0x0400, 0x0200, 0x0100, 0x0080, 0x0010
_OPT_HEAD: Final = b"\0\0\x29"  # the root, type 41
_OPT_BYTES: Final = 11
_NOTHING: Final = b"\0\0\0\0"  # counts of answer and authority records


class Prepared:
    """An answer but for its order: ``head``, shuffled ``records`` and ``tail``, after the question.

    ``head`` is empty or one answer record; ``tail`` is one authority record where there are no
    ``records``, else empty.
    """

    __slots__ = ("body", "counts", "head", "records")

    def __init__(
        self, *, head: bytes = b"", records: tuple[bytes, ...] = (), tail: bytes = b""
    ) -> None:
        """Count and join what is given."""
        self.head, self.records = head, records
        self.counts = struct.pack("!HH", bool(head) + len(records), bool(tail))
        self.body = head + b"".join(records) + tail

    def shuffled(self) -> bytes:
        """Return the body with its records in a new order."""
        records = self.records
        if len(records) < 2:
            return self.body
        return self.head + b"".join(random.sample(records, len(records)))

    def cut(self, room: int) -> tuple[bytes, bytes]:
        """Return the counts and the body of what fits into ``room`` bytes, some of the records."""
        records = [self.head] if self.head else []
        records += random.sample(self.records, len(self.records))
        size = taken = 0
        for record in records:
            if size + len(record) > room:
                break
            size, taken = size + len(record), taken + 1
        return struct.pack("!HH", taken, 0), b"".join(records[:taken])


def record(owner: bytes, kind: int, data: bytes) -> bytes:
    """Return a resource record; ``owner`` is a wire-form name or a pointer to one."""
    return owner + struct.pack("!HHIH", kind, IN, TTL_SECONDS, len(data)) + data


def question_end(message: bytes) -> int | None:
    """Return where the first question ends, or None when there is no whole, plain one."""
    at = HEADER_BYTES
    while at < len(message) and message[at]:
        if message[at] > 63:
            return None
        at += message[at] + 1
    end = at + 5
    return end if end <= len(message) and at - HEADER_BYTES < 255 else None


def is_plain(query: bytes, end: int) -> bool:
    """Return whether nothing follows the question but an OPT record without options."""
    return len(query) == end or (len(query) == end + _OPT_BYTES and _has_option(query, end))


def answer(query: bytes, end: int, prepared: Prepared, *, datagram: bool) -> bytes:
    """Return the message that gives ``prepared`` to ``query``, whose question ends at ``end``."""
    body, counts, truncated = prepared.shuffled(), prepared.counts, 0
    size = end + len(body) + _OPT_BYTES
    if size > MINIMUM_BYTES:
        limit = _limit(query, end) if datagram else MAXIMUM_BYTES
        if size > limit:
            truncated = _TC
            counts, body = prepared.cut(limit - end - _OPT_BYTES)
    flags = _QR | _AA | _RA | truncated | (query[2] << 8 | query[3]) & (_RD | _CD)
    return _message(query, end, flags, counts, body)


def failure(query: bytes, code: int) -> bytes:
    """Return an answer to ``query`` that says only ``code``; empty when it has no header."""
    if len(query) < HEADER_BYTES:
        return b""
    flags = int.from_bytes(query[2:4], "big")
    flags = _QR | _RA | flags & (_OPCODE | _RD | _CD) | code
    end = question_end(query) if query[4:6] == b"\0\1" else None
    if end is None:
        return query[:2] + flags.to_bytes(2, "big") + _NOTHING + _NOTHING
    return _message(query, end, flags, _NOTHING, b"")


def cut_to_fit(query: bytes, message: bytes) -> bytes:
    """Return ``message`` if the client takes a datagram of its size, else one that says TC."""
    end = question_end(query)
    if end is None or len(message) <= _limit(query, end):
        return message
    flags = int.from_bytes(message[2:4], "big") | _TC
    return _message(query, end, flags, _NOTHING, b"")


def code_of(message: bytes) -> int:
    """Return the message's response code (without an OPT record's extension of it)."""
    return message[3] & 0x0F


def is_truncated(message: bytes) -> bool:
    """Return whether the message says that it is not all of the answer."""
    return bool(message[2] & _TC >> 8)


def is_answer(query: bytes, message: bytes) -> bool:
    """Return whether ``message`` answers ``query``: same id, same question in any case.

    An error without the question is an answer as well; some servers send FORMERR so.
    """
    if len(message) < HEADER_BYTES or message[:2] != query[:2] or not message[2] & 0x80:
        return False
    if message[4:6] == b"\0\0":
        return code_of(message) != NOERROR
    end = question_end(query)
    return end is not None and message[12:end].lower() == query[12:end].lower()


def _message(query: bytes, end: int, flags: int, counts: bytes, body: bytes) -> bytes:
    """Put an answer together; it has an OPT record when the query has one."""
    head, question = query[:2] + flags.to_bytes(2, "big") + b"\0\1", query[HEADER_BYTES:end]
    if not _has_option(query, end):
        return head + counts + b"\0\0" + question + body
    version, dnssec_ok, extended_code = query[end + 6], query[end + 7] & 0x80, 0
    if version:  # RFC 6891: BADVERS, which is 16, and no records
        counts, body, extended_code = _NOTHING, b"", 1
    option = struct.pack("!HBBBBH", PAYLOAD_BYTES, extended_code, 0, dnssec_ok, 0, 0)
    return head + counts + b"\0\1" + question + body + _OPT_HEAD + option


def _limit(query: bytes, end: int) -> int:
    """Return the size of datagram that the client takes."""
    announced = int.from_bytes(query[end + 3 : end + 5], "big") if _has_option(query, end) else 0
    return max(MINIMUM_BYTES, announced)


def _has_option(query: bytes, end: int) -> bool:
    return query[end : end + 3] == _OPT_HEAD and len(query) >= end + _OPT_BYTES
