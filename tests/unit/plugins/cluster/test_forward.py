# SPDX-License-Identifier: GPL-3.0-or-later
"""A server in a pod, asked by port forwarding: kubelet's side is played here, byte by byte."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import websocket
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import dial, forward, survey
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.connection import connect
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError

# RFC 6455, section 1.3.
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE = 0x82, 0x88
POD = "/api/v1/namespaces/istio-system/pods/istiod-1/portforward"


class Kubelet(BaseHTTPRequestHandler):
    """Answers as the server's `pods` say: the messages of each pod's channels, or a refusal."""

    server: Any

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/pods"):
            self._say(200, {"items": self.server.listed})
            return
        self.server.asked.append((self.path, self.headers.items()))
        answer = self.server.pods[path.split("/")[-2]]
        if isinstance(answer, dict):
            self._say(answer["code"], answer)
            return
        key = self.headers["Sec-WebSocket-Key"] + _GUID
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324
        self.send_response(101)
        for name, value in (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept),
            ("Sec-WebSocket-Protocol", self.headers["Sec-WebSocket-Protocol"]),
        ):
            self.send_header(name, value)
        self.end_headers()
        self._talk(answer)

    def do_CONNECT(self) -> None:
        """As a proxy that lets nobody through."""
        self.server.asked.append((self.path, self.headers.items()))
        self._say(407, {})

    def _talk(self, messages: list[bytes]) -> None:
        port = struct.pack("<H", 15014)
        for begin in (b"\0" + port, b"\1" + port):
            self._frame(_BINARY, begin)
        head = self.rfile.read(2)
        mask = self.rfile.read(4)
        sent = self.rfile.read(head[1] & 0x7F)
        request = bytes(byte ^ mask[i % 4] for i, byte in enumerate(sent))
        self.server.requests.append(request)
        for message in messages:
            self._frame(_BINARY, message)
        if messages:
            self._frame(_CLOSE, b"\x03\xe8")
        else:
            self.server.over.wait(10)

    def _frame(self, code: int, content: bytes) -> None:
        self.wfile.write(bytes([code, 126]) + struct.pack(">H", len(content)) + content)

    def _say(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def cluster() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Kubelet)
    server.asked, server.requests, server.pods, server.listed = [], [], {}, []
    server.over = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(cluster: Any) -> Callable[..., Api]:
    def made(**options: Any) -> Api:
        return connect({"host": f"http://127.0.0.1:{cluster.server_port}", **options})

    return made


def answer(body: bytes, status: str = "200 OK", length: bool = True) -> bytes:
    head = f"Content-Length: {len(body)}\r\n" if length else ""
    return f"HTTP/1.0 {status}\r\n{head}\r\n".encode() + body


def data(content: bytes, *cuts: int) -> list[bytes]:
    """The content as messages of the data channel, cut at these places."""
    ends = [*cuts, len(content)]
    return [b"\0" + content[a:b] for a, b in zip([0, *cuts], ends, strict=True)]


def ask(api: Api) -> bytes:
    return forward.get(api, "istio-system", "istiod-1", 15014, "/debug/adsz")


def istiod(name: str, *, running: bool = True, **annotations: str) -> dict[str, Any]:
    state = {"running": {}} if running else {"waiting": {}}
    metadata = {"name": name, "annotations": annotations}
    return {"metadata": metadata, "status": {"containerStatuses": [{"state": state}]}}


def clients(*places: tuple[str, str, str]) -> bytes:
    keys = ("NAMESPACE", "INSTANCE_IPS", "AUTO_REGISTER_GROUP")
    found = [{"metadata": dict(zip(keys, place, strict=True))} for place in places]
    listed = [*found, {"metadata": {"NAMESPACE": "a-pod"}}]
    return json.dumps({"totalClients": len(listed), "clients": listed}).encode()


@pytest.mark.parametrize("cuts", [(), (3, 25, 41)])
@pytest.mark.parametrize("length", [True, False])
def test_the_body_arrives_however_it_is_cut(
    cluster: Any, api: Callable[..., Api], cuts: tuple[int, ...], length: bool
) -> None:
    cluster.pods["istiod-1"] = data(answer(b"x" * 300, length=length), *cuts)
    assert ask(api()) == b"x" * 300
    assert cluster.requests == [b"\0GET /debug/adsz HTTP/1.0\r\nHost: localhost\r\n\r\n"]
    ((path, headers),) = cluster.asked
    assert path == f"{POD}?ports=15014"
    assert ("Sec-WebSocket-Protocol", "v4.channel.k8s.io") in headers


def test_it_is_asked_as_who_the_options_say(cluster: Any, api: Callable[..., Api]) -> None:
    cluster.pods["istiod-1"] = data(answer(b"{}"))
    ask(api(api_key="secret", impersonate_user="ann", impersonate_groups=["x", "y"]))
    headers = cluster.asked[0][1]
    assert ("Authorization", "Bearer secret") in headers
    assert [pair for pair in headers if pair[0].startswith("Impersonate")] == [
        ("Impersonate-User", "ann"),
        ("Impersonate-Group", "x"),
        ("Impersonate-Group", "y"),
    ]


@pytest.mark.parametrize(
    ("user", "more"),
    [("ann:p%40ss@", {}), ("", {"proxy_headers": {"proxy_basic_auth": "ann:p@ss"}})],
)
def test_a_proxy_is_gone_through_as_by_other_requests(
    cluster: Any, api: Callable[..., Api], user: str, more: dict[str, Any]
) -> None:
    proxy = f"http://{user}127.0.0.1:{cluster.server_port}"
    with pytest.raises(ClusterError, match="the API server does not answer"):
        ask(api(host="http://192.0.2.1:6443", proxy=proxy, **more))
    ((target, headers),) = cluster.asked
    assert target == "192.0.2.1:6443"
    assert ("Proxy-Authorization", f"Basic {base64.b64encode(b'ann:p@ss').decode()}") in headers


def test_a_proxy_that_takes_tls_is_refused(api: Callable[..., Api]) -> None:
    with pytest.raises(ClusterError, match=r"proxy: .* http:// alone, found https://p:") as caught:
        ask(api(host="http://192.0.2.1:6443", proxy="https://ann:hidden@p"))
    assert "hidden" not in str(caught.value)


def test_a_refusal_has_no_body_in_an_older_package(
    cluster: Any, api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        error = websocket.WebSocketBadStatusException("Handshake status 403", 403)
        vars(error).pop("resp_body", None)
        raise error

    monkeypatch.setattr(websocket, "create_connection", refuse)
    with pytest.raises(ClusterError, match="forbidden") as caught:
        ask(api())
    assert caught.value.status == 403
    assert not cluster.asked


FORBIDDEN = (
    'pods "istiod-1" is forbidden: User "ann" cannot create resource "pods/portforward" '
    'in API group "" in the namespace "istio-system"'
)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ([b"\1error forwarding port 15014: refused"], "port 15014: no answer: .* refused"),
        (data(answer(b"", "404 Not Found")), "GET /debug/adsz: HTTP 404"),
        (data(answer(b"x" * 9)[:-4]), "port 15014: no answer: IncompleteRead"),
        (data(b"not HTTP"), "port 15014: no answer"),
        ([], "port 15014: no answer: .*timed out"),
        (
            {"kind": "Status", "code": 403, "reason": "Forbidden", "message": FORBIDDEN},
            "user 'ann' may not create pods/portforward in the namespace istio-system",
        ),
        (
            {"kind": "Status", "code": 404, "message": 'pods "istiod-1" not found'},
            'pods "istiod-1" not found',
        ),
    ],
)
def test_what_goes_wrong_is_said(
    cluster: Any,
    api: Callable[..., Api],
    monkeypatch: pytest.MonkeyPatch,
    said: Any,
    message: str,
) -> None:
    monkeypatch.setattr(dial, "SECONDS", 0.3)
    cluster.pods["istiod-1"] = said
    with pytest.raises(ClusterError, match=message):
        ask(api())


def test_every_istiod_that_runs_is_asked(cluster: Any, api: Callable[..., Api]) -> None:
    cluster.listed = [
        istiod("one"),
        istiod("two", **{"prometheus.io/port": "9999"}),
        istiod("three", running=False),
    ]
    cluster.pods = {
        "one": data(answer(clients(("ns", "10.0.0.1,fd00::1", "web")))),
        "two": data(answer(clients(("ns", "10.0.0.2", "api")))),
    }
    assert survey.connected_pods(api(), "istio-system") == {
        ("ns", "10.0.0.1", "web"),
        ("ns", "fd00::1", "web"),
        ("ns", "10.0.0.2", "api"),
    }
    assert [path.rpartition("=")[2] for path, _headers in cluster.asked] == ["15014", "9999"]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (data(answer(b"[]")), "istiod istio-system/two cannot be asked: expected istiod's list"),
        (data(answer(b'{"clients"')), "istiod istio-system/two cannot be asked: expected"),
        (data(answer(b"{}")), "istiod istio-system/two cannot be asked: expected istiod's list"),
        (
            data(answer(b'{"totalClients":1}')),
            r"two cannot be asked: .*1 of them, found 0",
        ),
        ([b"\1gone"], "istiod istio-system/two cannot be asked: port 15014: no answer: gone"),
    ],
)
def test_one_istiod_that_does_not_tell_is_named(
    cluster: Any, api: Callable[..., Api], second: list[bytes], message: str
) -> None:
    cluster.listed = [istiod("one"), istiod("two")]
    cluster.pods = {"one": data(answer(clients())), "two": second}
    with pytest.raises(ClusterError, match=message):
        survey.connected_pods(api(), "istio-system")


def test_an_istiod_that_nobody_is_connected_to_says_so(
    cluster: Any, api: Callable[..., Api]
) -> None:
    cluster.listed = [istiod("one")]
    cluster.pods = {"one": data(answer(b'{"totalClients":0}'))}
    assert survey.connected_pods(api(), "istio-system") == frozenset()


def test_a_namespace_without_istiods_proves_nothing(api: Callable[..., Api], cluster: Any) -> None:
    cluster.listed = [istiod("one", running=False)]
    with pytest.raises(ClusterError, match="expected pods with the label app=istiod, found none"):
        survey.connected_pods(api(), "istio-system")
