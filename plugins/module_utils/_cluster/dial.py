# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""WebSockets to an API server, with websocket-client, which the package ``kubernetes`` brings.

That package's own go without the headers for impersonation: they would act as somebody else.
"""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import (
    client_package,
    proxies,
    wire,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.access import Access
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import (
    ClusterError,
    refusal,
)

# Of kubelet: channels of bytes.
PROTOCOL = "v4.channel.k8s.io"
SECONDS = 10.0


class Socket(t.Protocol):
    """What is needed of a WebSocket."""

    def send_binary(self, payload: bytes) -> int: ...

    def recv_data(self) -> tuple[int, bytes]: ...  # opcode, content

    def shutdown(self) -> None: ...  # without a word to the other side


# (path with its query, headers) -> a WebSocket with kubelet's channels. Raises ClusterError for an
# answer that is none, and OSError.
Dial = t.Callable[[str, wire.Headers], Socket]


def dialer(access: Access, no_proxy: str | None, proxy_headers: t.Mapping[str, str | None]) -> Dial:
    """Connects to the server of ``access`` as its other connections do. Nothing is sent yet."""

    def dial(path: str, headers: wire.Headers) -> Socket:
        try:
            import websocket
        except ImportError as exc:
            raise client_package.missing() from exc
        try:
            socket: Socket = websocket.create_connection(
                "ws" + access.server[len("http") :].rstrip("/") + path,
                timeout=SECONDS,
                header=[f"{name}: {value}" for name, value in headers],
                subprotocols=[PROTOCOL],
                redirect_limit=0,
                sslopt=_tls(access),
                **_through(proxies.chosen(access, no_proxy), proxy_headers.get("proxy_basic_auth")),
            )
        except websocket.WebSocketBadStatusException as exc:
            plain = path.partition("?")[0]
            # Not known before websocket-client 1.6.
            body = getattr(exc, "resp_body", None) or b""
            raise refusal("GET", plain, exc.status_code, body) from exc
        except websocket.WebSocketException as exc:
            raise OSError(str(exc)) from exc
        return socket

    return dial


def _tls(access: Access) -> dict[str, t.Any]:
    options: dict[str, t.Any] = {"context": wire.context(access)}
    if access.server_name:
        options["server_hostname"] = access.server_name
    return options


def _through(proxy: str, authorization: str | None) -> dict[str, t.Any]:
    """Options for a proxy; ``authorization`` is ``USER:PASSWORD``, if its URL does not say it."""
    if not proxy:
        return {"http_no_proxy": ["*"]}  # nor by one of the environment
    url = urllib.parse.urlsplit(proxy)
    if url.scheme != "http":
        raise ClusterError(
            "proxy: port forwarding goes through a proxy with http:// alone, found "
            f"{url.scheme}://{url.hostname}: give istiod_debug, or another proxy"
        )
    options = {
        "http_proxy_host": url.hostname,
        "http_proxy_port": url.port or 80,
        "proxy_type": "http",
    }
    user, _colon, password = (proxies.credentials(proxy, authorization) or "").partition(":")
    if user:
        options["http_proxy_auth"] = (user, password)
    return options
