# SPDX-License-Identifier: Apache-2.0
"""TLS contexts of the mesh: certificate and root by SDS, peers by their SPIFFE ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from envoy.config.core.v3 import base_pb2, config_source_pb2, grpc_service_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2
from envoy.type.matcher.v3 import string_pb2

from mesh_control.translate.wire import boolean, pack, seconds

_SDS_CLUSTER: Final = "sds-grpc"
_CERTIFICATE: Final = "default"
_ROOT: Final = "ROOTCA"
_CIPHERS: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
)


def client(sni: str, identities: Sequence[str], alpn: Sequence[str]) -> base_pb2.TransportSocket:
    """Return mutual TLS towards a peer that must have one of ``identities`` (none: any)."""
    names = [string_pb2.StringMatcher(exact=identity) for identity in identities]
    context = tls_pb2.UpstreamTlsContext(sni=sni, common_tls_context=_common(names, alpn))
    return _socket(context)


def server(trust_domain: str) -> base_pb2.TransportSocket:
    """Return mutual TLS that takes any identity of the trust domain."""
    names = [string_pb2.StringMatcher(prefix=f"spiffe://{trust_domain}/")]
    # Never one of Istio's own protocols here: a peer that negotiated one would speak it.
    common = _common(names, ("h2", "http/1.1"))
    common.tls_params.cipher_suites.extend(_CIPHERS)
    context = tls_pb2.DownstreamTlsContext(
        require_client_certificate=boolean(True), common_tls_context=common
    )
    return _socket(context)


def plaintext() -> base_pb2.TransportSocket:
    """Return no TLS at all."""
    return base_pb2.TransportSocket(
        name="envoy.transport_sockets.raw_buffer", typed_config=pack(raw_buffer_pb2.RawBuffer())
    )


def _socket(
    context: tls_pb2.UpstreamTlsContext | tls_pb2.DownstreamTlsContext,
) -> base_pb2.TransportSocket:
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def _common(
    names: Sequence[string_pb2.StringMatcher], alpn: Sequence[str]
) -> tls_pb2.CommonTlsContext:
    uri = common_pb2.SubjectAltNameMatcher.URI
    return tls_pb2.CommonTlsContext(
        tls_params=common_pb2.TlsParameters(
            tls_minimum_protocol_version=common_pb2.TlsParameters.TLSv1_2,
            tls_maximum_protocol_version=common_pb2.TlsParameters.TLSv1_3,
        ),
        alpn_protocols=alpn,
        tls_certificate_sds_secret_configs=[_secret(_CERTIFICATE)],
        combined_validation_context=tls_pb2.CommonTlsContext.CombinedCertificateValidationContext(
            default_validation_context=common_pb2.CertificateValidationContext(
                match_typed_subject_alt_names=[
                    common_pb2.SubjectAltNameMatcher(san_type=uri, matcher=name) for name in names
                ]
            ),
            validation_context_sds_secret_config=_secret(_ROOT),
        ),
    )


def _secret(name: str) -> secret_pb2.SdsSecretConfig:
    agent = grpc_service_pb2.GrpcService(
        envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=_SDS_CLUSTER)
    )
    return secret_pb2.SdsSecretConfig(
        name=name,
        sds_config=config_source_pb2.ConfigSource(
            initial_fetch_timeout=seconds(0),
            resource_api_version=config_source_pb2.V3,
            api_config_source=config_source_pb2.ApiConfigSource(
                api_type=config_source_pb2.ApiConfigSource.GRPC,
                transport_api_version=config_source_pb2.V3,
                set_node_on_first_message_only=True,
                grpc_services=[agent],
            ),
        ),
    )
