# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""One Kubernetes API server: the few verbs that the modules need, over connections kept alive."""

from __future__ import annotations

import json
import time
import typing as t
import urllib.parse

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import (
    ClusterError,
    refusal,
)

MANAGER = "hybrid.mesh"
# Requests that run beside each other: more than this only queues in the API server.
CONNECTIONS = 16
_PAGE = 5000
# Answers that mean: later. Every request here can be repeated without doing harm.
_LATER = (429, 502, 503, 504)
_ATTEMPTS = 4

Object = t.Dict[str, t.Any]  # a Kubernetes object, or any JSON object
Objects = t.List[Object]


class Pool(t.Protocol):
    """What is needed of urllib3's pool of connections."""

    def request(self, method: str, url: str, **options: t.Any) -> t.Any: ...


class Api:
    """Requests to one API server. Safe to use from several threads.

    ``origin`` says where the access came from (``kubeconfig FILE, context NAME``), for messages.
    Every method raises ClusterError.
    """

    def __init__(
        self,
        server: str,
        pool: Pool,
        headers: t.Callable[[], t.MutableMapping[str, str]],
        origin: str,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self.server = server.rstrip("/")
        self.origin = origin
        self._pool = pool
        self._headers = headers
        self._sleep = sleep
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}

    def get(self, path: str, **query: t.Any) -> Object:
        """One object. A missing one is a ClusterError with status 404."""
        return self.request("GET", path, query)

    def find(self, path: str) -> Object | None:
        """One object, None when there is none."""
        try:
            return self.get(path)
        except ClusterError as exc:
            if exc.status == 404:
                return None
            raise

    def list(self, path: str, **query: t.Any) -> Objects:
        """All objects of a collection, page by page. Items lack apiVersion and kind."""
        found: Objects = []
        token = ""
        while True:
            page = {"continue": token} if token else {}
            answer = self.request("GET", path, {"limit": _PAGE, **query, **page})
            found.extend(answer.get("items") or [])
            token = (answer.get("metadata") or {}).get("continue") or ""
            if not token:
                return found

    def create(self, path: str, body: Object, **query: t.Any) -> Object:
        """POST to a collection or a subresource, for example TokenRequest."""
        return self.request("POST", path, query, body)

    def apply(
        self,
        path: str,
        body: Object,
        *,
        manager: str = MANAGER,
        force: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply; ``path`` is the object's own. Returns the object as it is now."""
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        return self.request("PATCH", path, query, body, "application/apply-patch+yaml")

    def delete(
        self, path: str, *, only: t.Mapping[str, str] | None = None, dry_run: bool = False
    ) -> None:
        """Delete an object; one that is gone already is no error.

        With ``only`` (``uid``, ``resourceVersion``), not if these are others by now: 409.
        """
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if only:
            body["preconditions"] = dict(only)
        if dry_run:
            # Here and not in the query: beside a body, the server does not look at the query.
            body["dryRun"] = ["All"]
        try:
            self.request("DELETE", path, body=body)
        except ClusterError as exc:
            if exc.status != 404:
                raise

    def can_i(
        self,
        verb: str,
        resource: str,
        *,
        group: str = "",
        namespace: str = "",
        subresource: str = "",
        name: str = "",
    ) -> bool:
        """Whether the user of this access may do that (SelfSubjectAccessReview)."""
        attributes = {
            "verb": verb,
            "resource": resource,
            "group": group,
            "namespace": namespace,
            "subresource": subresource,
            "name": name,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
        return bool((answer.get("status") or {}).get("allowed"))

    def path_of(self, api_version: str, kind: str, namespace: str = "", name: str = "") -> str:
        """The path of an object, or of the collection without a name, asked of the server.

        A ClusterError with status 404 says that the server does not know the kind.
        """
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        if api_version not in self._resources:
            self._resources[api_version] = self._discover(root, api_version)
        known = self._resources[api_version]
        if kind not in known:
            raise ClusterError(
                f"the cluster has no kind {kind} in {api_version}: expected one of "
                f"{', '.join(sorted(known)) or 'none'}",
                404,
                "NotFound",
            )
        plural, namespaced = known[kind]
        scope = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")

    def namespaced(self, api_version: str, kind: str) -> bool:
        """Whether objects of the kind live in namespaces."""
        self.path_of(api_version, kind)
        return self._resources[api_version][kind][1]

    def _discover(self, root: str, api_version: str) -> dict[str, tuple[str, bool]]:
        try:
            answer = self.get(root)
        except ClusterError as exc:
            if exc.status != 404:
                raise
            raise ClusterError(
                f"the cluster does not serve {api_version}: expected its CustomResourceDefinitions "
                "to be installed (Istio's come with the chart base)",
                404,
                "NotFound",
            ) from None
        return {
            entry["kind"]: (entry["name"], bool(entry.get("namespaced")))
            for entry in answer.get("resources") or []
            if "/" not in entry["name"]
        }

    def request(
        self,
        method: str,
        path: str,
        query: t.Mapping[str, t.Any] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request, repeated when the server asks for that or the connection breaks."""
        url = self.server + path
        if query:
            url += "?" + urllib.parse.urlencode(query)
        headers = self._headers()
        headers["Accept"] = "application/json"
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body, separators=(",", ":")).encode()
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            try:
                answer = self._pool.request(
                    method, url, body=data, headers=headers, retries=False, redirect=False
                )
            except Exception as exc:  # urllib3's own, imported only where the pool is made
                if last or not _may_pass(exc):
                    raise self._unreachable(exc) from exc
                self._sleep(0.2 * 2**attempt)
                continue
            if answer.status in _LATER and not last:
                self._sleep(_pause(answer.headers.get("Retry-After"), attempt))
                continue
            if not 200 <= answer.status < 300:
                raise refusal(method, path, answer.status, answer.data)
            return self._parse(method, path, answer.data)
        raise AssertionError("every attempt ends in a result or an error")

    def _parse(self, method: str, path: str, data: bytes) -> Object:
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ClusterError(
                f"{method} {self.server}{path}: expected a Kubernetes object, found "
                f"{data[:80].decode('utf-8', 'replace')!r} ({self.origin})",
                reason="Unreachable",
            )
        return found

    def _unreachable(self, exc: Exception) -> ClusterError:
        # urllib3 wraps the cause once or twice; the innermost one says what happened.
        cause: t.Any = exc
        while getattr(cause, "reason", None) is not None and isinstance(cause.reason, Exception):
            cause = cause.reason
        text = str(cause).split(": ", 1)[-1] if "object at 0x" in str(cause) else str(cause)
        return ClusterError(
            f"{self.server}: the API server does not answer: {text} ({self.origin})",
            reason="Unreachable",
        )


def _may_pass(exc: Exception) -> bool:
    """A connection that broke may be made anew; one that was refused, or not trusted, stays so."""
    return type(exc).__name__ in ("ProtocolError", "ReadTimeoutError")


def _pause(retry_after: str | None, attempt: int) -> float:
    """Seconds to wait, at most 10."""
    if retry_after and retry_after.isdigit():
        return min(float(retry_after), 10.0)
    return 0.2 * 2.0**attempt
