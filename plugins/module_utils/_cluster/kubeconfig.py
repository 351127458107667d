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
    bearer_in,
    pem,
    unreadable,
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
_FLAG = "insecure-skip-tls-verify"
_TEXTS = (_CLUSTER | _USER | {"tokenFile", "username", "password", "proxy-url"}) - {
    _FLAG,
    "extensions",
}


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
        contents = {path: _content(path) for path in files}
        said, origin = list(contents.values()), f"kubeconfig {os.pathsep.join(files)}"
        # kubectl takes empty ones, the package does not.
        files = [path for path, content in contents.items() if content] or files
    name = _context(said, context, origin)
    origin = f"{origin}, context {name}"
    cluster, user = _parts(said, name)
    _check({**cluster, **user}, origin)
    access = None
    if len(said) == 1:
        access = _plain(cluster, user, os.path.dirname(files[0]) if files else "", origin)
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
    try:
        with open(path, encoding="utf-8") as stream:
            content = yaml.safe_load(stream)
    except OSError as exc:
        raise unreadable(f"kubeconfig {path}", exc) from exc
    except (UnicodeDecodeError, yaml.YAMLError) as exc:
        raise ClusterError(
            f"kubeconfig {path}: expected YAML, found something else: {exc}"
        ) from exc
    if content is None:
        return {}
    # Of several, each may have some of them.
    if not isinstance(content, dict) or not any(
        isinstance(content.get(part), list) for part in ("clusters", "users", "contexts")
    ):
        raise ClusterError(
            f"kubeconfig {path}: expected a mapping with clusters, users and contexts"
        )
    return content


def _context(said: list[Mapping], wanted: str | None, origin: str) -> str:
    """The context to use: the wanted one, or the first that a file calls its current one."""
    known = sorted(
        str(entry.get("name")) for content in said for entry in _listed(content, "context")
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


def _parts(said: list[Mapping], context: str) -> tuple[Mapping, Mapping]:
    """Cluster and user of the context, whichever of the files they are in."""
    chosen = _named(said, "context", context)
    return _named(said, "cluster", chosen.get("cluster")), _named(said, "user", chosen.get("user"))


def _check(fields: Mapping, origin: str) -> None:
    """Raises ClusterError for a value that is no text or no flag, as kubectl would."""
    for field in sorted(_TEXTS & set(fields)):
        value = fields[field]
        if not (value is None or isinstance(value, str)):
            # Only what it is: it may be a secret.
            raise ClusterError(f"{origin}: {field}: expected text, found {type(value).__name__}")
    flag = fields.get(_FLAG)
    if not (flag is None or isinstance(flag, bool)):
        raise ClusterError(f"{origin}: {_FLAG}: expected true or false, found {flag!r}")


def _plain(cluster: Mapping, user: Mapping, folder: str, origin: str) -> Access | None:
    """The access when it is certificates and tokens, None for everything else."""
    known = set(cluster) <= _CLUSTER and (set(user) <= _USER or set(user) == {"tokenFile"})
    texts = [value for key, value in {**cluster, **user}.items() if key in _TEXTS]
    if not (cluster and user and known and all(isinstance(text, str) for text in texts)):
        return None

    def part(holder: Mapping, key: str) -> str:
        where = f"{origin}: {key}"
        if holder.get(f"{key}-data"):
            return _decoded(holder[f"{key}-data"], f"{where}-data")
        return pem(holder.get(key) and os.path.join(folder, holder[key]), where)

    given = {}
    if user.get("tokenFile"):
        path = os.path.join(folder, user["tokenFile"])
        given = {"authorization": bearer_in(path, f"{origin}: tokenFile")}
    elif user.get("token"):
        given = {"authorization": bearer(user["token"])}
    return Access(
        server=cluster.get("server", "").rstrip("/"),
        ca_cert=part(cluster, "certificate-authority"),
        client_cert=part(user, "client-certificate"),
        client_key=part(user, "client-key"),
        server_name=cluster.get("tls-server-name", ""),
        verify=not cluster.get(_FLAG),
        **given,
    )


def _listed(content: Mapping, kind: str) -> list[Mapping]:
    listed = content.get(f"{kind}s")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _named(said: list[Mapping], kind: str, name: t.Any) -> Mapping:
    """The first part of that name, empty when there is none or it is not as it should be."""
    for content in said:
        for entry in _listed(content, kind):
            if entry.get("name") == name:
                found = entry.get(kind)
                return found if isinstance(found, dict) else {}
    return {}


def _decoded(data: str, where: str) -> str:
    try:
        return base64.b64decode(data).decode("ascii", "ignore")
    except ValueError as exc:
        raise ClusterError(f"{where}: expected base64: {exc}") from exc
