# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""From a module's options to an `Api`: kubeconfig, context, credentials, TLS, proxy."""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace

from ansible.module_utils.basic import env_fallback
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import dial, kubeconfig, wire
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.access import (
    Access,
    basic,
    bearer,
    pem,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError


def _option(*names: str, **more: t.Any) -> dict[str, t.Any]:
    """An option that the environment gives by any of these names, as to kubernetes.core."""
    return {"fallback": (env_fallback, [f"K8S_AUTH_{name.upper()}" for name in names]), **more}


_PROXY_HEADERS = {
    name: _option(f"proxy_headers_{name}", type="str", **more)
    for name, more in (
        ("proxy_basic_auth", {"no_log": True}),
        ("basic_auth", {"no_log": True}),
        ("user_agent", {}),
    )
}


ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "kubeconfig": _option("kubeconfig", type="raw"),
    "context": _option("context", type="str"),
    "host": _option("host", type="str"),
    "api_key": _option("api_key", type="str", no_log=True),
    "username": _option("username", type="str"),
    "password": _option("password", type="str", no_log=True),
    "validate_certs": _option("validate_certs", "verify_ssl", type="bool", aliases=["verify_ssl"]),
    "ca_cert": _option("ca_cert", "ssl_ca_cert", type="path", aliases=["ssl_ca_cert"]),
    "client_cert": _option("client_cert", "cert_file", type="path", aliases=["cert_file"]),
    "client_key": _option("client_key", "key_file", type="path", aliases=["key_file"]),
    "proxy": _option("proxy", type="str"),
    "no_proxy": _option("no_proxy", type="str"),
    # The environment counts without the option, too.
    "proxy_headers": {"type": "dict", "options": _PROXY_HEADERS, "apply_defaults": True},
    "persist_config": _option("persist_config", type="bool"),
    "impersonate_user": _option("impersonate_user", type="str"),
    "impersonate_groups": _option("impersonate_groups", type="list", elements="str"),
}


def connect(params: t.Mapping[str, t.Any]) -> Api:
    """The access that the options describe. Nothing is sent yet.

    Raises ClusterError naming the file, the context or the option that is wrong.
    """
    given = params.get("kubeconfig") or None
    named = given is not None or params.get("context")
    if params.get("host") and not named and (_credentials(params) or not _defaults()):
        access, origin = Access(), f"host {params['host']}"
    else:
        access, origin = kubeconfig.read(
            given, params.get("context"), persist=bool(params.get("persist_config"))
        )
    access = _overridden(access, params, origin)
    same = _impersonation(params)

    def headers() -> list[tuple[str, str]]:
        authorization = access.authorization()
        return [*same, ("Authorization", authorization)] if authorization else list(same)

    through = params.get("no_proxy"), params.get("proxy_headers") or {}
    try:
        connections = wire.connections(access, *through)
    except (OSError, ValueError) as exc:
        raise ClusterError(f"{origin}: {exc}") from exc
    return Api(access.server, connections, headers, origin, dial=dial.dialer(access, *through))


def _credentials(params: t.Mapping[str, t.Any]) -> bool:
    """Whether the options have all that it takes to be known to the host."""
    sorts = (("api_key",), ("username", "password"), ("client_cert", "client_key"))
    return any(all(params.get(option) for option in sort) for sort in sorts)


def _defaults() -> bool:
    """Whether there is what kubectl would take."""
    return bool(kubeconfig.default_files() or os.environ.get("KUBERNETES_SERVICE_HOST"))


def _overridden(access: Access, params: t.Mapping[str, t.Any], origin: str) -> Access:
    """Single options go before what the kubeconfig says."""
    said: dict[str, t.Any] = {}
    for option, field in (("host", "server"), ("proxy", "proxy")):
        if params.get(option):
            said[field] = params[option]
    for option in ("ca_cert", "client_cert", "client_key"):
        if params.get(option):
            said[option] = pem(params[option], f"{origin}: {option}")
    if params.get("validate_certs") is not None:
        said["verify"] = params["validate_certs"]
    if params.get("api_key"):
        said["authorization"] = bearer(params["api_key"])
    elif params.get("username") and params.get("password"):
        said["authorization"] = basic(params["username"], params["password"])
    found = replace(access, **said)
    if not found.server.startswith(("https://", "http://")):
        raise ClusterError(
            f"host: expected a URL such as https://HOST:6443, found {found.server!r}"
        )
    return found


def _impersonation(params: t.Mapping[str, t.Any]) -> list[tuple[str, str]]:
    user, groups = params.get("impersonate_user"), params.get("impersonate_groups") or []
    if not user:
        if groups:
            raise ClusterError("impersonate_groups: expected impersonate_user beside it")
        return []
    return [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
