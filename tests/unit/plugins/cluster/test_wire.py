# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections: kept, made anew when they broke, and through a proxy where one is named."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import (
    connection,
    proxied,
    wire,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.wire import BrokenError, Direct

_BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.client_address, self.path, self.headers))
        if self.path == "/last":
            server.together.wait(5)
            self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_arguments: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    server.together = threading.Barrier(2)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def saying(*answers: bytes) -> Iterator[str]:
    """A server's URL; each connection gets one of the answers, and its end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                accepted, _address = listener.accept()
                with accepted:
                    accepted.recv(65536)
                    accepted.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def direct(url: str) -> Direct:
    return Direct(url, None)  # type: ignore[arg-type]


def test_one_connection_serves_request_after_request() -> None:
    with serving() as server:
        wire = direct(f"http://127.0.0.1:{server.server_port}/behind/")
        for number in range(3):
            assert wire.request("GET", f"/{number}", [("A", "1"), ("A", "2")]).data == b"{}"
        del wire
    assert len({address for address, _path, _headers in server.asked}) == 1
    assert [path for _address, path, _headers in server.asked] == [f"/behind/{n}" for n in range(3)]
    assert server.asked[0][2].get_all("A") == ["1", "2"]


def test_a_connection_that_breaks_is_told_from_one_that_is_refused() -> None:
    with saying(b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", _BUSY) as url:
        wire = direct(url)
        for _broken in range(2):
            with pytest.raises(BrokenError):
                wire.request("GET", "/", [])
        answer = wire.request("GET", "/", [])
        assert (answer.status, answer.retry_after) == (503, "7")
    with pytest.raises(ConnectionRefusedError):
        direct("http://127.0.0.1:1").request("GET", "/", [])


def test_connections_that_broke_while_nobody_used_them_are_found_at_once() -> None:
    with serving() as server:
        wire = direct(f"http://127.0.0.1:{server.server_port}")
        threads = [
            threading.Thread(target=wire.request, args=("GET", "/last", [])) for _number in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with pytest.raises(BrokenError):
            wire.request("GET", "/", [])
        assert wire.request("GET", "/", []).status == 200
        del wire


def test_a_server_that_stays_silent_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (wire, proxied):
        monkeypatch.setattr(part, "ANSWER_SECONDS", 0.2)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for access in ({"host": url}, {"host": "http://localhost:1", "proxy": url}):
            api = connection.connect({**access, "api_key": "t"})
            with pytest.raises(ClusterError, match=r"no answer to a request within 0\.2 s"):
                api.get("/x")
            listener.accept()[0].close()
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_header_that_is_none_is_not_shown() -> None:
    with serving() as server:
        wire = direct(f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(OSError, match="characters that none can") as caught:
            wire.request("GET", "/", [("Authorization", "Bearer hidden\nline")])
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "variable", "no_proxy", "through"),
    [
        ("{proxy}", "", "", True),
        ("", "{proxy}", "", True),
        ("{proxy}", "", "other,localhost", False),
        ("", "", "", False),
    ],
)
def test_a_proxy_is_taken_from_the_option_or_the_environment(
    option: str, variable: str, no_proxy: str, through: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("http_proxy", variable.format(proxy=url))
        params = {"host": "http://localhost:1", "proxy": option.format(proxy=url)}
        more = {"no_proxy": no_proxy, "impersonate_user": "u"}
        api = connection.connect(
            {**params, **more, "proxy_headers": {"proxy_basic_auth": "a:b"}, "api_key": "t"}
        )
        if through:
            assert api.get("/x") == {}
            assert server.asked[0][1] == "http://localhost:1/x"
            assert server.asked[0][2]["Impersonate-User"] == "u"
            assert server.asked[0][2]["Proxy-Authorization"] == "Basic YTpi"
        else:
            with pytest.raises(ClusterError, match=r"http://localhost:1: .* not answer"):
                api.get("/x")
            assert not server.asked


def test_a_proxy_that_is_none_is_named() -> None:
    with pytest.raises(ClusterError, match=r"host https://c: .*socks"):
        connection.connect({"host": "https://c", "proxy": "socks9://p"})
