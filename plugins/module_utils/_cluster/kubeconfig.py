# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Access as a kubeconfig describes it.

Certificates and tokens are read here, since that is quick. What else a kubeconfig can say (exec
plugins, OIDC, several files in KUBECONFIG) and a pod's own account take the package ``kubernetes``.
"""

from __future__ import annotations

import base64
import os
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import client_package
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.access import (
    Access,
    bearer,
    pem,
    readable,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError

try:
    import yaml
except ImportError:
    # Whoever has the package `kubernetes` has it, too.
    yaml = None  # type: ignore[assignment]

Mapping = t.Dict[str, t.Any]

_CLUSTER = {
    "server",
    "certificate-authority",
    "certificate-authority-data",
    "insecure-skip-tls-verify",
    "tls-server-name",
    "extensions",
}
_USER = {
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "token",
}
_NO_TEXTS = ("insecure-skip-tls-verify", "extensions")


def read(given: t.Any, context: str | None, *, persist: bool = False) -> tuple[Access, str]:
    """The access, and where it came from: ``kubeconfig FILE, context NAME``.

    ``given`` is a file, several as in KUBECONFIG, a kubeconfig's content, or None for what kubectl
    would take. With ``persist``, tokens that had to be refreshed are kept in their file. Raises
    ClusterError naming the file, the context or the field that is wrong.
    """
    if given is None and not default_files():
        return client_package.in_cluster(), "service account of this pod"
    if yaml is None:
        raise client_package.missing()
    if isinstance(given, dict):
        files: list[str] = []
        said, origin = [given], "kubeconfig (given as a dictionary)"
    else:
        files = _files(str(given)) if given else default_files()
        said, origin = [_content(path) for path in files], f"kubeconfig {os.pathsep.join(files)}"
    name = _context(said, context, origin)
    origin = f"{origin}, context {name}"
    access = None
    if len(said) == 1:
        access = _plain(said[0], os.path.dirname(files[0]) if files else "", name, origin)
    if access is None:
        access = client_package.read(files or given, name, origin, persist=persist)
    if not access.server:
        raise ClusterError(f"{origin}: expected a server address in its cluster, found none")
    return access, origin


def default_files() -> list[str]:
    """Files of KUBECONFIG, or kubectl's default if it is there.

    As kubectl does, those of several that do not exist are passed over.
    """
    named = _files(os.environ.get("KUBECONFIG", ""))
    if named:
        return named
    usual = os.path.expanduser("~/.kube/config")
    return [usual] if os.path.exists(usual) else []


def _files(joined: str) -> list[str]:
    named = [os.path.expanduser(path) for path in joined.split(os.pathsep) if path]
    return [path for path in named if os.path.exists(path)] or named


def _content(path: str) -> Mapping:
    readable(path, f"kubeconfig {path}")
    try:
        with open(path, encoding="utf-8") as stream:
            content = yaml.safe_load(stream)
    except (UnicodeDecodeError, yaml.YAMLError) as exc:
        raise ClusterError(
            f"kubeconfig {path}: expected YAML, found something else: {exc}"
        ) from exc
    if not isinstance(content, dict) or not isinstance(content.get("contexts"), list):
        raise ClusterError(
            f"kubeconfig {path}: expected a mapping with clusters, users and contexts"
        )
    return content


def _context(said: list[Mapping], wanted: str | None, origin: str) -> str:
    """The context to use: the wanted one, or the first that a file calls its current one."""
    known = sorted(
        str(entry.get("name"))
        for content in said
        for entry in content.get("contexts") or []
        if isinstance(entry, dict)
    )
    context = wanted or next(filter(None, (c.get("current-context") for c in said)), None)
    if context is None:
        raise ClusterError(
            f"{origin}: expected the option context, or current-context in the file; "
            f"it has the contexts {', '.join(known) or 'none'}"
        )
    if context not in known:
        raise ClusterError(
            f"{origin}: there is no context {context!r}: expected one of "
            f"{', '.join(known) or 'none'}"
        )
    return str(context)


def _plain(content: Mapping, folder: str, context: str, origin: str) -> Access | None:
    """The access when it is certificates and tokens, None for everything else."""
    chosen = _named(content, "context", context)
    cluster = _named(content, "cluster", chosen.get("cluster"))
    user = _named(content, "user", chosen.get("user"))
    known = set(cluster) <= _CLUSTER and (set(user) <= _USER or set(user) == {"tokenFile"})
    texts = [value for key, value in {**cluster, **user}.items() if key not in _NO_TEXTS]
    if not (cluster and user and known and all(isinstance(text, str) for text in texts)):
        return None

    def part(holder: Mapping, key: str) -> str:
        where = f"{origin}: {key}"
        if holder.get(f"{key}-data"):
            return _decoded(holder[f"{key}-data"], f"{where}-data")
        return pem(holder.get(key) and os.path.join(folder, holder[key]), where)

    if "tokenFile" in user:
        token = pem(os.path.join(folder, user["tokenFile"]), f"{origin}: tokenFile").strip()
    else:
        token = user.get("token", "")
    given = {"authorization": bearer(token)} if token else {}
    return Access(
        server=cluster.get("server", "").rstrip("/"),
        ca_cert=part(cluster, "certificate-authority"),
        client_cert=part(user, "client-certificate"),
        client_key=part(user, "client-key"),
        server_name=cluster.get("tls-server-name", ""),
        verify=not cluster.get("insecure-skip-tls-verify"),
        **given,
    )


def _named(content: Mapping, kind: str, name: t.Any) -> Mapping:
    """The part of that name, empty when there is none or it is not as it should be."""
    listed = content.get(f"{kind}s")
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(kind)
            return found if isinstance(found, dict) else {}
    return {}


def _decoded(data: str, where: str) -> str:
    try:
        return base64.b64decode(data).decode("ascii", "ignore")
    except ValueError as exc:
        raise ClusterError(f"{where}: expected base64: {exc}") from exc
