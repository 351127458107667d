# SPDX-License-Identifier: Apache-2.0
"""The application's own metrics, scraped with the proxy's as Istio's agent does."""

from __future__ import annotations

from mesh_agent.status.exposition import CONTENT_TYPE
from mesh_core import http
from mesh_core.errors import MeshError

_SECONDS = 5.0


class ScrapeError(MeshError):
    """The application gives no metrics; the text says why."""


async def scrape(port: int, path: str) -> bytes:
    """Return what the application says on a port of loopback, in Prometheus' text format.

    ScrapeError; also when it answers in another format, which cannot stand beside Envoy's.
    """
    where = f"http://127.0.0.1:{port}{path}"
    try:
        headers = {"accept": CONTENT_TYPE}
        answer = await http.get(path, port=port, timeout=_SECONDS, headers=headers)
    except TimeoutError as error:
        raise ScrapeError(f"{where}: no answer within {_SECONDS:.0f} s") from error
    except OSError as error:
        raise ScrapeError(f"{where}: {error.strerror or error}") from error
    if answer.status != 200:
        raise ScrapeError(f"{where}: expected status 200, found {answer.status}")
    kind = answer.content_type.partition(";")[0].strip().lower()
    if kind not in ("text/plain", ""):
        raise ScrapeError(f"{where}: expected text/plain, found {kind}")
    return answer.body if answer.body.endswith(b"\n") else answer.body + b"\n"
