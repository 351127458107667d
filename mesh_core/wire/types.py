# SPDX-License-Identifier: Apache-2.0
"""Type URLs and gRPC paths of the protocols that istiod speaks."""

from __future__ import annotations

from typing import Final

_PREFIX: Final = "type.googleapis.com/"

CLUSTER: Final = _PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINT: Final = _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER: Final = _PREFIX + "envoy.config.listener.v3.Listener"
ROUTE: Final = _PREFIX + "envoy.config.route.v3.RouteConfiguration"
SECRET: Final = _PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"
EXTENSION_CONFIG: Final = _PREFIX + "envoy.config.core.v3.TypedExtensionConfig"
NAME_TABLE: Final = _PREFIX + "istio.networking.nds.v1.NameTable"
HEALTH_INFORMATION: Final = _PREFIX + "istio.v1.HealthInformation"

_ADS: Final = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
ADS_STREAM: Final = _ADS + "StreamAggregatedResources"
ADS_DELTA: Final = _ADS + "DeltaAggregatedResources"
SDS_STREAM: Final = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"
CREATE_CERTIFICATE: Final = "/istio.v1.auth.IstioCertificateService/CreateCertificate"


def short(type_url: str) -> str:
    """Return the message's own name, e.g. ``Cluster``, for logs and metrics."""
    return type_url.rsplit(".", 1)[-1]
