# SPDX-License-Identifier: Apache-2.0
"""An application that tells its callers who they are, and a caller; run in network namespaces.

``app.py serve`` answers HTTP/1.1 on 8080, gRPC on 9090 and lines on 7070; ``app.py grpc|tcp HOST
PORT`` calls and prints the answer; ``app.py load HOST PORT`` calls until its input ends, and prints
how often it was answered.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

from grpclib.client import Channel

from mesh_core.http import HttpServer, Request, Response
from mesh_core.wire import rpc
from mesh_core.wire.rpc import BytesStream, RawCodec

XFCC = "x-forwarded-client-cert"
EXCHANGE = "x-envoy-peer-metadata"
PATH = "/test.App/Who"


async def who(request: Request) -> Response:
    return Response(200, _told(request.headers).encode())


async def who_grpc(stream: BytesStream) -> None:
    await stream.recv_message()
    metadata = {name: str(value) for name, value in (stream.metadata or {}).items()}
    await stream.send_message(_told(metadata).encode())


def _told(headers: Mapping[str, str]) -> str:
    """Who calls, and what only proxies tell each other."""
    others = (f"{name}={headers[name]}" for name in headers if name.startswith(EXCHANGE))
    return " ".join((headers.get(XFCC, "nobody"), *others))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()


async def serve() -> None:
    await HttpServer(who).start("0.0.0.0", 8080)
    await HttpServer(who).start("::", 8080)
    await rpc.server(streams={}, unary={PATH: who_grpc}).start("0.0.0.0", 9090)
    await asyncio.start_server(echo, "0.0.0.0", 7070)
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


async def call(kind: str, host: str, port: int) -> None:
    if kind == "grpc":
        channel = Channel(host, port, codec=RawCodec())
        print((await rpc.call(channel, PATH, b"", timeout=10)).decode())
        channel.close()
        return
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"hello\n")
    print((await reader.readline()).decode(), end="")
    writer.close()


async def load(host: str, port: int) -> None:
    """Call for lines, two at a time; an error ends it."""
    calls, over = 0, asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), over.set)

    async def callers() -> None:
        nonlocal calls
        while not over.is_set():
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b"hello\n")
                answer = await reader.readline()
            assert answer == b"hello\n", (calls, answer)
            writer.close()
            calls += 1

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(callers())
        tasks.create_task(callers())
    print(calls)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve())
    elif sys.argv[1] == "load":
        asyncio.run(load(sys.argv[2], int(sys.argv[3])))
    else:
        asyncio.run(call(sys.argv[1], sys.argv[2], int(sys.argv[3])))
