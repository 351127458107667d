# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""From a module's options to an `Api`: kubeconfig, context, credentials, TLS, proxy.

What a kubeconfig can say (exec plugins, OIDC, several files in KUBECONFIG) is read by the package
``kubernetes``; requests then go over urllib3, which that package brings, without its models.
"""

from __future__ import annotations

import logging
import os
import traceback
import typing as t

from ansible.module_utils.basic import env_fallback, missing_required_lib
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import CONNECTIONS, Api
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError

try:
    import urllib3
    import yaml
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, kube_config, load_incluster_config

    MISSING = None
except ImportError:
    MISSING = traceback.format_exc()

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0


def _option(name: str, **more: t.Any) -> dict[str, t.Any]:
    return {"fallback": (env_fallback, [f"K8S_AUTH_{name.upper()}"]), **more}


ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "kubeconfig": _option("kubeconfig", type="raw"),
    "context": _option("context", type="str"),
    "host": _option("host", type="str"),
    "api_key": _option("api_key", type="str", no_log=True),
    "validate_certs": _option("verify_ssl", type="bool", aliases=["verify_ssl"]),
    "ca_cert": _option("ssl_ca_cert", type="path", aliases=["ssl_ca_cert"]),
    "client_cert": _option("cert_file", type="path", aliases=["cert_file"]),
    "client_key": _option("key_file", type="path", aliases=["key_file"]),
    "proxy": _option("proxy", type="str"),
    "no_proxy": _option("no_proxy", type="str"),
    "impersonate_user": _option("impersonate_user", type="str"),
    "impersonate_groups": _option("impersonate_groups", type="list", elements="str"),
}


def connect(params: t.Mapping[str, t.Any]) -> Api:
    """The access that the options describe. Nothing is sent yet.

    Raises ClusterError naming the file, the context or the option that is wrong.
    """
    if MISSING is not None:
        raise ClusterError(missing_required_lib("kubernetes"))
    configuration, origin = _configuration(params)
    _override(configuration, params)
    for option, path in (
        ("ca_cert", configuration.ssl_ca_cert),
        ("client_cert", configuration.cert_file),
        ("client_key", configuration.key_file),
    ):
        if path:
            _readable(path, f"{origin}: {option}")
    extra = _impersonation(params)

    def headers() -> t.Any:
        found = extra.copy()
        token = configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if token:
            found["Authorization"] = token
        return found

    try:
        pool = _pool(configuration)
        return Api(configuration.host, pool, headers, origin)
    except (OSError, ValueError, urllib3.exceptions.HTTPError) as exc:
        raise ClusterError(f"{origin}: {exc}") from exc


def _configuration(params: t.Mapping[str, t.Any]) -> tuple[t.Any, str]:
    configuration = Configuration()
    configuration.host = ""
    given = params.get("kubeconfig") or None
    if given is None and params.get("host"):
        return configuration, f"host {params['host']}"
    if given is None and not _default_files():
        return _in_cluster(configuration)
    if isinstance(given, dict):
        config, origin = given, "kubeconfig (given as a dictionary)"
        said = [given]
    else:
        files = [os.path.expanduser(str(given))] if given else _default_files()
        said, origin = [_read(path) for path in files], f"kubeconfig {os.pathsep.join(files)}"
        config = kube_config.KubeConfigMerger(os.pathsep.join(files)).config
    context = _context(said, params.get("context"), origin)
    origin = f"{origin}, context {context}"
    with _Complaints() as complaints:
        try:
            loader = kube_config.KubeConfigLoader(
                config_dict=config, active_context=context, config_base_path=None
            )
            loader.load_and_set(configuration)
        except (ConfigException, KeyError, TypeError, ValueError, OSError) as exc:
            raise ClusterError(f"{origin}: {exc}") from exc
    if complaints.lines:
        raise ClusterError(f"{origin}: no credentials: {'; '.join(complaints.lines)}")
    if not configuration.host:
        raise ClusterError(f"{origin}: expected a server address in its cluster, found none")
    return configuration, origin


def _default_files() -> list[str]:
    """Files of KUBECONFIG, or kubectl's default if it is there.

    As kubectl does, those of several that do not exist are passed over.
    """
    given = os.environ.get("KUBECONFIG", "").split(os.pathsep)
    named = [os.path.expanduser(path) for path in given if path]
    if named:
        return [path for path in named if os.path.exists(path)] or named
    usual = os.path.expanduser("~/.kube/config")
    return [usual] if os.path.exists(usual) else []


def _in_cluster(configuration: t.Any) -> tuple[t.Any, str]:
    try:
        load_incluster_config(client_configuration=configuration)
    except ConfigException as exc:
        raise ClusterError(
            "no access to a cluster: expected the option kubeconfig or host, KUBECONFIG in the "
            f"environment, a file ~/.kube/config, or a pod's service account ({exc})"
        ) from exc
    return configuration, "service account of this pod"


def _read(path: str) -> dict[str, t.Any]:
    """A file, read by us before the package reads it: for messages that name it."""
    _readable(path, f"kubeconfig {path}")
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


def _readable(path: str, where: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as exc:
        raise ClusterError(f"{where}: cannot be read: {exc.strerror} ({path})") from exc


def _context(said: list[dict[str, t.Any]], wanted: str | None, origin: str) -> str:
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


def _override(configuration: t.Any, params: t.Mapping[str, t.Any]) -> None:
    """Single options go before what the kubeconfig says."""
    for option in ("host", "proxy", "no_proxy"):
        if params.get(option):
            setattr(configuration, option, params[option])
    for option, attribute in (
        ("ca_cert", "ssl_ca_cert"),
        ("client_cert", "cert_file"),
        ("client_key", "key_file"),
    ):
        if params.get(option):
            # A module's options are expanded already, an inventory file's are not.
            setattr(configuration, attribute, os.path.expanduser(params[option]))
    if params.get("validate_certs") is not None:
        configuration.verify_ssl = params["validate_certs"]
    if params.get("api_key"):
        configuration.refresh_api_key_hook = None
        configuration.api_key = {"BearerToken": f"Bearer {params['api_key']}"}
    if not str(configuration.host).startswith(("https://", "http://")):
        raise ClusterError(
            f"host: expected a URL such as https://HOST:6443, found {configuration.host!r}"
        )


def _impersonation(params: t.Mapping[str, t.Any]) -> t.Any:
    groups = params.get("impersonate_groups") or []
    if groups and not params.get("impersonate_user"):
        raise ClusterError("impersonate_groups: expected impersonate_user beside it")
    headers = urllib3.HTTPHeaderDict()
    if params.get("impersonate_user"):
        headers.add("Impersonate-User", params["impersonate_user"])
    for group in groups:
        headers.add("Impersonate-Group", group)
    return headers


def _pool(configuration: t.Any) -> t.Any:
    options: dict[str, t.Any] = {
        "maxsize": CONNECTIONS,
        "block": True,
        "timeout": urllib3.Timeout(connect=_CONNECT_SECONDS, read=_ANSWER_SECONDS),
        "cert_reqs": "CERT_REQUIRED" if configuration.verify_ssl else "CERT_NONE",
        "ca_certs": configuration.ssl_ca_cert,
        "cert_file": configuration.cert_file,
        "key_file": configuration.key_file,
    }
    if configuration.tls_server_name:
        options["server_hostname"] = configuration.tls_server_name
    if not configuration.verify_ssl:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if configuration.proxy and not _bypassed(configuration):
        return urllib3.ProxyManager(configuration.proxy, **options)
    return _Direct(urllib3.PoolManager(**options), configuration.host)


class _Direct:
    """The connections to one server, asked by path.

    A manager of several servers' connections takes each URL apart again, which is a quarter of what
    a request costs here.
    """

    def __init__(self, manager: t.Any, host: str) -> None:
        self._pool = manager.connection_from_url(host)
        url = urllib3.util.parse_url(host)
        # Without the path, which a server behind a gateway may have.
        self._origin = len(host) - len(url.request_uri if url.path else "")

    def request(self, method: str, url: str, **options: t.Any) -> t.Any:
        return self._pool.request(method, url[self._origin :], **options)


def _bypassed(configuration: t.Any) -> bool:
    host = urllib3.util.parse_url(configuration.host).host or ""
    names = [n.strip().lstrip(".") for n in (configuration.no_proxy or "").split(",")]
    return any(n == "*" or host == n or (n and host.endswith("." + n)) for n in names)


class _Complaints(logging.Handler):
    """The package logs that an exec plugin failed, and goes on without credentials."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> _Complaints:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        logging.getLogger().removeHandler(self)
