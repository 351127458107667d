# SPDX-License-Identifier: Apache-2.0
"""A UDP socket, many datagrams a system call: recvmmsg(2) and sendmmsg(2), through ctypes.

The socket module moves one at a time, and three system calls a question cost more than its answer.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

AT_ONCE: Final = 64
"""Datagrams that are looked at together."""
BYTES: Final = 1024
"""What one may have that is read or sent with others. Larger ones are read by themselves."""

Address = tuple[str, int] | tuple[str, int, int, int]

_SO_PEEK_OFF: Final = 42
_NAME_BYTES: Final = {socket.AF_INET: 16, socket.AF_INET6: 28}


def can_look_ahead(sock: socket.socket) -> bool:
    """Whether the kernel can look at more than the first datagram; `Datagrams` needs that."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF, -1)
    except OSError:
        return False
    return True


class _Piece(ctypes.Structure):
    """``struct iovec``."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """``struct msghdr``."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("pieces", ctypes.POINTER(_Piece)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """``struct mmsghdr``."""

    _fields_ = (("message", _Message), ("length", ctypes.c_uint))


_HEADER: Final = ctypes.sizeof(_Header)
_LONG: Final = ctypes.sizeof(ctypes.c_long)


class Datagrams:
    """What waits in a socket: looked at in order, answered, and only then taken out of it."""

    def __init__(self, sock: socket.socket) -> None:
        """``sock`` is a non-blocking UDP one and stays the caller's."""
        self._socket = sock
        library = ctypes.CDLL(None, use_errno=True)
        self._receive, self._transmit = library.recvmmsg, library.sendmmsg
        self._name_bytes = _NAME_BYTES[sock.family]
        names = ctypes.create_string_buffer(AT_ONCE * self._name_bytes)
        self._inbox, self._outbox = (ctypes.create_string_buffer(AT_ONCE * BYTES) for _each in "io")
        self._looked, self._in_pieces = self._headers(names, self._inbox)
        self._sent, self._out_pieces = self._headers(names, self._outbox)
        self._taken = (_Header * AT_ONCE)()  # all zero: nobody wants to see it again
        # The same memory as plain numbers: reading fields of structures takes far longer.
        self._names = memoryview(names).cast("B")
        self._name_at = range(ctypes.addressof(names), 2**63, self._name_bytes)
        self._lengths = memoryview(self._looked).cast("B").cast("I")[_Header.length.offset // 4 :]
        self._in = memoryview(self._inbox).cast("B")
        self._out = memoryview(self._outbox).cast("B")
        self._out_at = ctypes.addressof(self._outbox)
        self._out_names = memoryview(self._sent).cast("B").cast("L")
        self._out_iov = memoryview(self._out_pieces).cast("B").cast("L")

    def _headers(
        self, names: ctypes.Array[ctypes.c_char], room: ctypes.Array[ctypes.c_char]
    ) -> tuple[ctypes.Array[_Header], ctypes.Array[_Piece]]:
        headers, pieces = (_Header * AT_ONCE)(), (_Piece * AT_ONCE)()
        for place in range(AT_ONCE):
            pieces[place] = _Piece(ctypes.addressof(room) + place * BYTES, BYTES)
            message = headers[place].message
            message.name = ctypes.addressof(names) + place * self._name_bytes
            message.name_length = self._name_bytes
            message.pieces = ctypes.pointer(pieces[place])
            message.count = 1
        return headers, pieces

    def look(self) -> list[bytes]:
        """Return what waits, oldest first; OSError.

        A look begins with the first datagram in the queue, whoever looked at it before.
        """
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF, 0)
        # MSG_TRUNC: the next one is looked at after all of this one, whatever was read of it.
        flags = socket.MSG_PEEK | socket.MSG_DONTWAIT | socket.MSG_TRUNC
        count = self._receive(self._socket.fileno(), self._looked, AT_ONCE, flags, None)
        if count < 0:
            error = _last_error()
            if isinstance(error, BlockingIOError):
                self._take_empty()
            raise error
        lengths = self._lengths[: count * (_HEADER // 4) : _HEADER // 4].tolist()
        data = self._in[: count * BYTES].tobytes()
        found = [
            data[at : at + length]
            for at, length in zip(range(0, count * BYTES, BYTES), lengths, strict=True)
        ]
        if max(lengths) > BYTES:
            for place, before in enumerate(accumulate(lengths[:-1], initial=0)):
                if lengths[place] > BYTES:
                    found[place] = self._look_at(before, lengths[place])
        return found

    def _look_at(self, offset: int, length: int) -> bytes:
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF, offset)
        return self._socket.recv(length, socket.MSG_PEEK | socket.MSG_DONTWAIT)

    def _take_empty(self) -> None:
        """Take out an empty datagram that was looked at and not taken, by one who was killed.

        A look passes over it, but it wakes us for ever.
        """
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF, -1)
        if not self._socket.recv(1, socket.MSG_PEEK):
            self._socket.recv(1)

    def client(self, place: int) -> Address:
        """Return who sent the datagram at ``place`` of the last look, as sockets have it."""
        at = place * self._name_bytes
        name = self._names[at : at + self._name_bytes].tobytes()
        (port,) = struct.unpack_from("!H", name, 2)
        if self._socket.family == socket.AF_INET:
            return socket.inet_ntop(socket.AF_INET, name[4:8]), port
        flow, address = struct.unpack_from("!I16s", name, 4)
        (scope,) = struct.unpack_from("=I", name, 24)
        return socket.inet_ntop(socket.AF_INET6, address), port, flow, scope

    def send(self, places: Sequence[int], replies: Sequence[bytes]) -> list[tuple[int, OSError]]:
        """Send ``replies``, each at most `BYTES` long, to the clients at ``places``.

        Returns the places that could not be sent to, and why.
        """
        count = len(replies)
        lengths = list(map(len, replies))
        ends = accumulate(lengths, initial=self._out_at)
        self._out[: sum(lengths)] = b"".join(replies)
        self._out_iov[: 2 * count : 2] = array("L", ends)[:count]
        self._out_iov[1 : 2 * count : 2] = array("L", lengths)
        step = _HEADER // _LONG
        self._out_names[: step * count : step] = array("L", [self._name_at[p] for p in places])
        failed, done = [], 0
        while done < count:
            rest = ctypes.byref(self._sent, done * _HEADER)
            sent = self._transmit(self._socket.fileno(), rest, count - done, socket.MSG_DONTWAIT)
            if sent < 0:
                failed.append((places[done], _last_error()))
            done += abs(sent)
        return failed

    def take(self, count: int) -> None:
        """Take the first ``count`` datagrams out of the socket."""
        self._receive(self._socket.fileno(), self._taken, count, socket.MSG_DONTWAIT, None)


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
