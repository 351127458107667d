# SPDX-License-Identifier: Apache-2.0
"""The proof log: one JSON line for each call from a proof port, with the peer's certificate.

A control plane of ours writes its logger into the outbound listeners; with another one the agent
does. Both take it from here, and `verify.yml` reads the lines.
"""

from __future__ import annotations

from typing import Final

FILE: Final = "/var/log/mesh-proxy/proof.log"
# Clients that want proof bind a source port of this range; anyone else costs one comparison.
FILTER: Final = "source.port >= 15900 && source.port < 16000"
FIELDS: Final = {
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_peer_uri_san": "%UPSTREAM_PEER_URI_SAN%",
    "upstream_peer_cert": "%UPSTREAM_PEER_CERT%",
    "upstream_tls_version": "%UPSTREAM_TLS_VERSION%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "start_time": "%START_TIME%",
    "duration": "%DURATION%",
    "protocol": "%PROTOCOL%",
}
