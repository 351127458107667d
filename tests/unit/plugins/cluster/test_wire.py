# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections: kept, made anew when they broke, and through a proxy where one is named."""

from __future__ import annotations

import os
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import (
    connection,
    proxied,
    proxies,
    wire,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.access import Access
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


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def test_connections_that_broke_while_nobody_used_them_are_made_anew_at_once() -> None:
    with serving() as server:
        wire = direct(f"http://127.0.0.1:{server.server_port}")
        threads = [
            threading.Thread(target=wire.request, args=("GET", "/last", [])) for _number in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wire.request("GET", "/", []).status == 200
        assert len(server.asked) == 3
        del wire


def test_a_server_that_stays_silent_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (wire, proxied):
        monkeypatch.setattr(part, "ANSWER_SECONDS", 0.2)
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


def shown(error: BaseException) -> str:
    """The error with all that caused it, as a traceback has it."""
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("host", ["http://192.0.2.1:1", "https://192.0.2.1:1"])
@pytest.mark.parametrize("proxy", [True, False])
def test_a_token_that_is_none_is_not_shown(host: str, proxy: bool) -> None:
    with serving() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        access = {"host": host, "proxy": url} if proxy else {"host": url}
        api = connection.connect({**access, "api_key": "hidden\nline"})
        with pytest.raises(ClusterError) as caught:
            api.get("/x")
        del api
    assert "hidden" not in shown(caught.value)
    if not (proxy and host.startswith("https")):  # that proxy lets nobody through
        assert "holds characters that HTTP cannot carry" in str(caught.value)


@pytest.mark.parametrize("path", ["/a b", "/\u00e4"])
def test_a_path_that_is_none_is_refused_at_once(path: str) -> None:
    with serving() as server:
        wire = direct(f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(OSError, match="the path holds characters that HTTP cannot carry"):
            wire.request("GET", path, [])
        assert not server.asked
    with pytest.raises(OSError, match="a b"):
        direct("http://a b:1").request("GET", "/", [])


@pytest.mark.parametrize(
    ("option", "variable", "host", "no_proxy", "through"),
    [
        ("{proxy}", "", "http://192.0.2.1:1/", "", True),
        ("{proxy}", "", "http://localhost:1", "", True),
        ("", "{proxy}", "http://192.0.2.1:1", "", True),
        ("", "{proxy}", "http://localhost:1", "", False),
        ("", "{proxy}", "http://127.0.0.9:1", "", False),
        ("{proxy}", "", "http://localhost:1", "other,localhost", False),
        ("", "", "http://localhost:1", "", False),
    ],
)
def test_a_proxy_is_taken_from_the_option_or_the_environment(
    option: str,
    variable: str,
    host: str,
    no_proxy: str,
    through: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("http_proxy", variable.format(proxy=url))
        params = {"host": host, "proxy": option.format(proxy=url)}
        more = {"no_proxy": no_proxy, "impersonate_user": "u"}
        api = connection.connect(
            {**params, **more, "proxy_headers": {"proxy_basic_auth": "a:b"}, "api_key": "t"}
        )
        if through:
            assert api.get("/x") == {}
            assert server.asked[0][1] == f"{host.rstrip('/')}/x"
            assert server.asked[0][2]["Impersonate-User"] == "u"
            assert server.asked[0][2]["Proxy-Authorization"] == "Basic YTpi"
        else:
            with pytest.raises(ClusterError, match=rf"{host}: .* not answer"):
                api.get("/x")
            assert not server.asked


@pytest.mark.parametrize(
    ("no_proxy", "host", "meant"),
    [
        ("*", "https://c:6443", True),
        ("10.0.0.0/8", "https://10.1.2.3:6443", True),
        ("10.0.0.0/8, 11.0.0.0/8", "https://12.1.2.3:6443", False),
        ("fd00::/8", "https://[fd00::1]:6443", True),
        ("nonsense/8", "https://10.1.2.3:6443", False),
        ("fd00:0::1", "https://[fd00::1]:6443", True),
        ("[fd00::1]:6443", "https://[fd00::1]:6443", True),
        ("Cluster.EXAMPLE", "https://api.cluster.example:6443", True),
        (".cluster.example", "https://api.cluster.example", True),
        ("*.cluster.example", "https://api.cluster.example", True),
        ("ster.example", "https://api.cluster.example", False),
        ("10.1.2.3:6443", "https://10.1.2.3:6443", True),
        ("10.1.2.3:443", "https://10.1.2.3:6443", False),
        ("cluster.example:443", "https://cluster.example", True),
        ("", "https://c", False),
    ],
)
def test_servers_that_no_proxy_leads_to(no_proxy: str, host: str, meant: bool) -> None:
    access = Access(server=host, proxy="proxy:3128")
    assert proxies.chosen(access, no_proxy) == ("" if meant else "http://proxy:3128")


@pytest.mark.parametrize(("given", "sent"), [("", "Basic dTpwQA=="), ("a:b", "Basic YTpi")])
def test_who_asks_a_proxy_may_be_in_its_url(given: str, sent: str) -> None:
    with serving() as server:
        proxy = f"http://u:p%40@127.0.0.1:{server.server_port}"
        headers = {"proxy_basic_auth": given or None}
        params = {"host": "http://192.0.2.1:1", "proxy": proxy, "proxy_headers": headers}
        api = connection.connect(params)
        assert api.get("/x") == {}
        assert server.asked[0][2]["Proxy-Authorization"] == sent


def test_a_proxy_that_is_none_is_named() -> None:
    with pytest.raises(ClusterError, match=r"host https://c: .*socks"):
        connection.connect({"host": "https://c", "proxy": "socks9://p"})
