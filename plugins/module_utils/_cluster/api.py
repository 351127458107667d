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

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.dial import Dial, Socket
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import (
    ClusterError,
    refusal,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.wire import (
    BrokenError,
    Connections,
)

MANAGER = "hybrid.mesh"
_PAGE = 5000
# Answers that mean: later. Every request here can be repeated without doing harm.
_LATER = (429, 502, 503, 504)
_ATTEMPTS = 4

Object = t.Dict[str, t.Any]  # a Kubernetes object, or any JSON object
Objects = t.List[Object]


class Api:
    """Requests to one API server. Safe to use from several threads.

    ``origin`` says where the access came from (``kubeconfig FILE, context NAME``), for messages.
    Every method raises ClusterError.
    """

    def __init__(
        self,
        server: str,
        connections: Connections,
        headers: t.Callable[[], t.List[t.Tuple[str, str]]],
        origin: str,
        sleep: t.Callable[[float], None] = time.sleep,
        dial: Dial | None = None,
    ) -> None:
        self.server = server.rstrip("/")
        self.origin = origin
        self._connections = connections
        self._headers = headers
        self._sleep = sleep
        self._dial = dial
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

    def open(self, path: str, **query: t.Any) -> Socket:
        """A WebSocket with kubelet's channels, to a subresource such as portforward."""
        if self._dial is None:
            raise ClusterError(f"GET {path}: this access has no WebSockets ({self.origin})")
        try:
            return self._dial(f"{path}?{urllib.parse.urlencode(query)}", self._headers())
        except OSError as exc:
            raise self._unreachable(exc) from exc

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
        target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        headers = [*self._headers(), ("Accept", "application/json")]
        data = None
        if body is not None:
            headers.append(("Content-Type", content_type))
            data = json.dumps(body, separators=(",", ":")).encode()
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            try:
                answer = self._connections.request(method, target, headers, data)
            except BrokenError as exc:
                if last:
                    raise self._unreachable(exc) from exc
                self._sleep(_pause("", attempt))
                continue
            except OSError as exc:  # refused, or not trusted: it would be so the next time
                raise self._unreachable(exc) from exc
            if answer.status in _LATER and not last:
                self._sleep(_pause(answer.retry_after, attempt))
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
        return ClusterError(
            f"{self.server}: the API server does not answer: {exc} ({self.origin})",
            reason="Unreachable",
        )


def _pause(retry_after: str, attempt: int) -> float:
    """Seconds to wait, at most 10."""
    if retry_after.isdigit():
        return min(float(retry_after), 10.0)
    return 0.2 * 2.0**attempt
