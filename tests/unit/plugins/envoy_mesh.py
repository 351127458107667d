# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of an Envoy that is a whole mesh: callers' proxies, peers' proxies, gateway."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from lab.cluster.ports import free_ports
from mesh_core import pki

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_FORMAT = {
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_peer_uri_san": "%UPSTREAM_PEER_URI_SAN%",
    "upstream_peer_cert": "%UPSTREAM_PEER_CERT%",
    "upstream_tls_version": "%UPSTREAM_TLS_VERSION%",
    "response_flags": "%RESPONSE_FLAGS%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "start_time": "%START_TIME%",
}
_PORTS = 20  # at most, all different
_SNI = "outbound_.5432_._.db.shop.svc.cluster.local"


class EnvoyMesh:
    """The configuration, and the port at which each call of the tests begins."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "proof.log"
        self.admin = directory / "admin.sock"
        self.ports: dict[str, int] = {}
        self._free = iter(free_ports(_PORTS))
        self._directory = directory
        self._listeners: list[dict[str, Any]] = []
        self._clusters: list[dict[str, Any]] = []
        self._authority = pki.Authority.open(directory / "ours", "cluster.local")
        self._stranger = pki.Authority.open(directory / "theirs", "cluster.local")
        for name in ("web", "db"):
            self._certify(name, self._authority)
        self._certify("stranger", self._stranger)

    def config(self, application: int) -> dict[str, Any]:
        self._cluster("application", application)
        deny = self._network_rbac()
        peer = self._server("db", [self._tcp("application")])
        strict = self._server("db", [deny, self._tcp("application")])
        denying = self._server("db", [self._http("application", deny=True)])
        web = self._server("db", [self._http("application")])
        doubting = self._server("db", [self._tcp("application")], trusts=self._stranger)
        impostor = self._server("stranger", [self._tcp("application")])
        nobody = next(self._free)
        gateway = self._gateway(peer)
        self.ports = {
            "allowed": self._client(peer),
            "denied": self._client(strict),
            "http": self._client(web, http=True),
            "http denied": self._client(denying, http=True),
            "doubted": self._client(doubting),
            "impostor": self._client(impostor),
            "nobody": self._client(nobody),
            "http nobody": self._client(nobody, http=True),
            "gateway": self._client(gateway, sni=_SNI),
            "gateway without a way": self._client(gateway, sni="other"),
            "peer itself": peer,
            "gateway itself": gateway,
        }
        return {
            "admin": {"address": {"pipe": {"path": str(self.admin)}}},
            "static_resources": {"listeners": self._listeners, "clusters": self._clusters},
        }

    def _certify(self, name: str, authority: Any) -> None:
        key = pki.new_key()
        uri = f"spiffe://cluster.local/ns/shop/sa/{name}"
        chain = authority.issue(pki.new_csr(key, uri), uris=[uri], lifetime=timedelta(hours=1))
        (self._directory / f"{name}.key").write_bytes(key)
        (self._directory / f"{name}.pem").write_text("".join(chain[:-1]))

    def _tls(self, name: str, trusts: Any, kind: str, **more: Any) -> dict[str, Any]:
        certificate = {
            "certificate_chain": {"filename": str(self._directory / f"{name}.pem")},
            "private_key": {"filename": str(self._directory / f"{name}.key")},
        }
        common = {
            "tls_certificates": [certificate],
            "validation_context": {"trusted_ca": {"inline_string": trusts.root_pem}},
            "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        }
        return {
            "name": "tls",
            "typed_config": {
                "@type": f"{_EXTENSIONS}.transport_sockets.tls.v3.{kind}",
                "common_tls_context": common,
                **more,
            },
        }

    def _cluster(self, name: str, port: int, tls: dict[str, Any] | None = None) -> None:
        endpoint = {"endpoint": {"address": _address(port)}}
        self._clusters.append(
            {
                "name": name,
                "connect_timeout": "2s",
                "load_assignment": {
                    "cluster_name": name,
                    "endpoints": [{"lb_endpoints": [endpoint]}],
                },
                **({"transport_socket": tls} if tls else {}),
            }
        )

    def _listener(self, chain: dict[str, Any], **more: Any) -> int:
        port = next(self._free)
        self._listeners.append(
            {"name": str(port), "address": _address(port), "filter_chains": [chain], **more}
        )
        return port

    def _server(self, name: str, filters: list[dict[str, Any]], trusts: Any = None) -> int:
        tls = self._tls(
            name,
            trusts or self._authority,
            "DownstreamTlsContext",
            require_client_certificate=True,
        )
        return self._listener({"filters": filters, "transport_socket": tls})

    def _client(self, port: int, *, http: bool = False, sni: str = "") -> int:
        name = f"to {port} {sni} {http}"
        tls = self._tls("web", self._authority, "UpstreamTlsContext", sni=sni)
        self._cluster(name, port, tls)
        way = self._http(name, log=True) if http else self._tcp(name, log=True)
        return self._listener({"filters": [way]})

    def _gateway(self, peer: int) -> int:
        self._cluster("behind", peer)
        inspector = {
            "name": "inspector",
            "typed_config": {
                "@type": f"{_EXTENSIONS}.filters.listener.tls_inspector.v3.TlsInspector"
            },
        }
        chain = {
            "filter_chain_match": {"server_names": [_SNI]},
            "filters": [self._tcp("behind")],
        }
        return self._listener(chain, listener_filters=[inspector])

    def _tcp(self, cluster: str, *, log: bool = False) -> dict[str, Any]:
        return {
            "name": "tcp",
            "typed_config": {
                "@type": f"{_EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "tcp",
                "cluster": cluster,
                "access_log": self._logger() if log else [],
            },
        }

    def _http(self, cluster: str, *, log: bool = False, deny: bool = False) -> dict[str, Any]:
        router = {
            "name": "router",
            "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"},
        }
        rbac = {
            "name": "rbac",
            "typed_config": {
                "@type": f"{_EXTENSIONS}.filters.http.rbac.v3.RBAC",
                "rules": self._rules(),
            },
        }
        host = {
            "name": "any",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster}}],
        }
        manager = f"{_EXTENSIONS}.filters.network.http_connection_manager.v3"
        return {
            "name": "http",
            "typed_config": {
                "@type": f"{manager}.HttpConnectionManager",
                "stat_prefix": "http",
                "route_config": {"virtual_hosts": [host]},
                "http_filters": [rbac, router] if deny else [router],
                "access_log": self._logger() if log else [],
            },
        }

    def _network_rbac(self) -> dict[str, Any]:
        return {
            "name": "rbac",
            "typed_config": {
                "@type": f"{_EXTENSIONS}.filters.network.rbac.v3.RBAC",
                "stat_prefix": "rbac",
                "rules": self._rules(),
            },
        }

    @staticmethod
    def _rules() -> dict[str, Any]:
        somebody = {"authenticated": {"principal_name": {"exact": "somebody else"}}}
        policy = {"permissions": [{"any": True}], "principals": [somebody]}
        return {"action": "ALLOW", "policies": {"only": policy}}

    def _logger(self) -> list[dict[str, Any]]:
        return [
            {
                "name": "proof",
                "typed_config": {
                    "@type": f"{_EXTENSIONS}.access_loggers.file.v3.FileAccessLog",
                    "path": str(self.log),
                    "log_format": {"json_format": _FORMAT},
                },
            }
        ]


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
