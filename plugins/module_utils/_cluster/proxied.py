# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""HTTP through a proxy, with urllib3, which the package ``kubernetes`` brings."""

from __future__ import annotations

import ssl
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import client_package, proxies
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.access import Access
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.wire import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    CONNECTIONS,
    Answer,
    BrokenError,
    Headers,
    silent,
    unsendable,
)

try:
    import urllib3
    from urllib3 import exceptions
except ImportError:
    urllib3 = None  # type: ignore[assignment]


class Proxied:
    """Connections to one server through a proxy."""

    def __init__(
        self,
        access: Access,
        proxy: str,
        context: ssl.SSLContext,
        headers: t.Mapping[str, str | None],
    ) -> None:
        """Raises ClusterError without urllib3, ValueError for a proxy that is none."""
        if urllib3 is None:
            raise client_package.missing()
        authorization = proxies.credentials(proxy, headers.get("proxy_basic_auth"))
        options: dict[str, t.Any] = {
            "maxsize": CONNECTIONS,
            "block": True,
            "timeout": urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
            "ssl_context": context,
            "proxy_headers": urllib3.make_headers(**{**headers, "proxy_basic_auth": authorization}),
        }
        if access.server_name:
            options["server_hostname"] = access.server_name
        if not access.verify:
            urllib3.disable_warnings(exceptions.InsecureRequestWarning)
        try:
            self._manager = urllib3.ProxyManager(proxy, **options)
        except exceptions.HTTPError as exc:
            raise ValueError(str(exc)) from exc
        self._server = access.server.rstrip("/")

    def request(
        self, method: str, path: str, headers: Headers, body: bytes | None = None
    ) -> Answer:
        """One request and its answer. Raises BrokenError and OSError."""
        try:
            answer = self._manager.request(
                method,
                self._server + path,
                body=body,
                headers=urllib3.HTTPHeaderDict(headers),
                retries=False,
                redirect=False,
            )
        except exceptions.ReadTimeoutError as exc:
            raise silent() from exc
        except exceptions.ProtocolError as exc:
            raise BrokenError(_words(exc)) from exc
        except exceptions.HTTPError as exc:
            raise OSError(_words(exc)) from exc
        except ValueError:  # some of urllib3's own are, too
            raise unsendable() from None
        return Answer(answer.status, answer.data, answer.headers.get("Retry-After") or "")


def _words(exc: Exception) -> str:
    """What the innermost cause says: urllib3 wraps it once or twice."""
    cause: t.Any = exc
    while isinstance(getattr(cause, "reason", None), Exception):
        cause = cause.reason
    text = str(cause)
    return text.split(": ", 1)[-1] if "object at 0x" in text else text
