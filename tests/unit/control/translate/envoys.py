# SPDX-License-Identifier: Apache-2.0
"""A real Envoy for translated resources: bootstraps, and a control plane that serves them as is."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import (
    address_pb2,
    base_pb2,
    config_source_pb2,
    grpc_service_pb2,
    protocol_pb2,
)
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2

from mesh_control.model import Proxy
from mesh_control.translate.wire import pack, resource, seconds
from mesh_core.pki import Authority, new_csr, new_key
from mesh_core.wire import rpc, types

Resources = Mapping[str, Mapping[str, bytes]]


def envoy_binary() -> Path | None:
    """The released Envoy beside the generated messages, if it is installed."""
    spec = importlib.util.find_spec("envoy")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root) / "_bin" / "envoy"
        if path.is_file():
            return path
    return None


def bootstrap(proxy: Proxy, directory: Path) -> bootstrap_pb2.Bootstrap:
    """What a host's Envoy starts with: the agent's sockets in ``directory``."""
    ads = config_source_pb2.ConfigSource(
        ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.V3
    )
    agent = grpc_service_pb2.GrpcService(
        envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name="xds-grpc")
    )
    made = bootstrap_pb2.Bootstrap(node=base_pb2.Node(id=proxy.id, cluster="test"))
    made.admin.address.pipe.path = str(directory / "admin.sock")
    made.dynamic_resources.lds_config.CopyFrom(ads)
    made.dynamic_resources.cds_config.CopyFrom(ads)
    made.dynamic_resources.ads_config.CopyFrom(
        config_source_pb2.ApiConfigSource(
            api_type=config_source_pb2.ApiConfigSource.GRPC,
            transport_api_version=config_source_pb2.V3,
            set_node_on_first_message_only=True,
            grpc_services=[agent],
        )
    )
    for name in ("xds-grpc", "sds-grpc"):
        made.static_resources.clusters.append(_socket_cluster(name, directory / "agent.sock"))
    return made


def with_logs_in(directory: Path, listener: Any) -> Any:
    """The listener with its access logs in ``directory``: Envoy opens them also to validate."""
    chains = [*listener.filter_chains]
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    for network_filter in (f for chain in chains for f in chain.filters):
        for cls in (hcm_pb2.HttpConnectionManager, tcp_proxy_pb2.TcpProxy):
            config = cls()
            if network_filter.typed_config.Unpack(config):
                for log in config.access_log:
                    file = file_pb2.FileAccessLog()
                    if log.typed_config.Unpack(file):
                        file.path = str(directory / Path(file.path).name)
                        log.typed_config.CopyFrom(pack(file))
                network_filter.typed_config.CopyFrom(pack(config))
    return listener


def identity(authority: Authority, uri: str) -> dict[str, bytes]:
    """The secrets that an agent serves."""
    key = new_key()
    chain = authority.issue(new_csr(key, uri), uris=[uri], lifetime=timedelta(hours=1))
    certificate = secret_pb2.Secret(
        name="default",
        tls_certificate=common_pb2.TlsCertificate(
            certificate_chain=base_pb2.DataSource(inline_string="".join(chain)),
            private_key=base_pb2.DataSource(inline_bytes=key),
        ),
    )
    root = secret_pb2.Secret(
        name="ROOTCA",
        validation_context=common_pb2.CertificateValidationContext(
            trusted_ca=base_pb2.DataSource(inline_string=authority.root_pem)
        ),
    )
    return {secret.name: resource(secret) for secret in (certificate, root)}


class Control:
    """Serves fixed resources on unix sockets, in a thread of its own; keeps what was refused."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._servers: list[Any] = []

    @contextmanager
    def running(self) -> Iterator[Control]:
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(10)
            self._loop.close()

    def serve(self, path: Path, resources: Resources) -> None:
        async def stream(exchange: rpc.BytesStream) -> None:
            await self._exchange(exchange, resources)

        async def start() -> None:
            server = rpc.server(streams={types.ADS_STREAM: stream, types.SDS_STREAM: stream})
            await server.start(path=str(path))
            self._servers.append(server)

        asyncio.run_coroutine_threadsafe(start(), self._loop).result(10)

    async def _exchange(self, exchange: rpc.BytesStream, resources: Resources) -> None:
        asked: dict[str, list[str]] = {}
        async for body in exchange:
            request = discovery_pb2.DiscoveryRequest.FromString(body)
            if request.HasField("error_detail"):
                self.refused.append(request.error_detail.message)
            wanted = sorted(request.resource_names)
            if asked.get(request.type_url) == wanted:
                continue
            asked[request.type_url] = wanted
            found = resources.get(request.type_url, {})
            chosen = [
                any_pb2.Any.FromString(v) for k, v in found.items() if not wanted or k in wanted
            ]
            answer = discovery_pb2.DiscoveryResponse(
                version_info="1",
                type_url=request.type_url,
                nonce=str(sum(map(len, asked.values()))),
                resources=chosen,
            )
            await exchange.send_message(answer.SerializeToString())

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()


def _socket_cluster(name: str, path: Path) -> cluster_pb2.Cluster:
    options = http_protocol_options_pb2.HttpProtocolOptions()
    options.explicit_http_config.http2_protocol_options.CopyFrom(
        protocol_pb2.Http2ProtocolOptions()
    )
    made = cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.STATIC,
        connect_timeout=seconds(1),
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=name,
            endpoints=[
                endpoint_components_pb2.LocalityLbEndpoints(
                    lb_endpoints=[
                        endpoint_components_pb2.LbEndpoint(
                            endpoint=endpoint_components_pb2.Endpoint(
                                address=address_pb2.Address(pipe=address_pb2.Pipe(path=str(path)))
                            )
                        )
                    ]
                )
            ],
        ),
    )
    key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    made.typed_extension_protocol_options[key].CopyFrom(pack(options))
    return made
