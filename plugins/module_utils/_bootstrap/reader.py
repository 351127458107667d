# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Reading of objects, with errors that say what was read and what it takes."""

from __future__ import annotations

import contextlib
import json
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError

if t.TYPE_CHECKING:
    from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api

Object = t.Dict[str, t.Any]

NETWORKING = "/apis/networking.istio.io/v1"
_UNKNOWN_USER = 401
_FORBIDDEN = 403
_MISSING = 404


class BootstrapError(Exception):
    """Something in the cluster is not as it has to be; the text is for users."""


class NotAllowedError(BootstrapError):
    """The API server refuses it to this user."""


class NotFoundError(BootstrapError):
    """The object does not exist."""


def path_of(group: str, namespace: str | None, resource: str, name: str | None = None) -> str:
    """Path of a resource in the API; ``group`` is ``/api/v1`` or ``/apis/GROUP/VERSION``."""
    parts = [group]
    if namespace is not None:
        parts += ["namespaces", namespace]
    return "/".join([*parts, resource, *([name] if name is not None else [])])


class Reader:
    """Reads through ``api``.

    Every method raises NotAllowedError, NotFoundError or BootstrapError; and ClusterError when the
    API server cannot be asked at all, or does not know who asks.
    """

    def __init__(self, api: Api) -> None:
        self.api = api

    def config_map(self, namespace: str, name: str) -> dict[str, str]:
        """The data of a ConfigMap."""
        path = path_of("/api/v1", namespace, "configmaps", name)
        return self.get(path, f"ConfigMap {namespace}/{name}").get("data") or {}

    def service(self, namespace: str, name: str) -> Object:
        """A Service."""
        path = path_of("/api/v1", namespace, "services", name)
        return self.get(path, f"Service {namespace}/{name}")

    def workload_group(self, namespace: str, name: str) -> Object:
        """A WorkloadGroup."""
        path = path_of(NETWORKING, namespace, "workloadgroups", name)
        return self.get(path, f"WorkloadGroup {namespace}/{name}")

    def get(self, path: str, what: str) -> Object:
        """One object; ``what`` names it in errors."""
        with _explained(what):
            return self.api.get(path)

    def list(self, path: str, what: str, **query: str) -> list[Object]:
        """All objects of a kind."""
        with _explained(what):
            return self.api.list(path, **query)

    def create(self, path: str, body: Object, what: str) -> Object:
        """Send a request object, as a TokenRequest is one, and return the answer."""
        with _explained(what):
            return self.api.create(path, body)


@contextlib.contextmanager
def _explained(what: str) -> t.Iterator[None]:
    try:
        yield
    except ClusterError as error:
        if error.status in (None, _UNKNOWN_USER):
            raise
        if error.status == _FORBIDDEN:
            raise NotAllowedError(f"{what}: {error}") from error
        if error.status == _MISSING:
            raise NotFoundError(f"{what} does not exist") from error
        raise BootstrapError(f"{what}: {error}") from error


def as_json(text: str, what: str) -> Object:
    """A JSON object in a field of an object. Raises BootstrapError naming ``what``."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BootstrapError(f"{what}: expected JSON: {error}") from error
    if not isinstance(found, dict):
        raise BootstrapError(f"{what}: expected a JSON object, found {type(found).__name__}")
    return found
