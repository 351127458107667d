# SPDX-License-Identifier: Apache-2.0
"""Envoy's discovery messages and secrets, as far as an agent looks into them.

Names and numbers are those of ``envoy/service/discovery/v3/discovery.proto`` and of what it and
the secrets refer to.
"""

from __future__ import annotations

from typing import Final

from mesh_core.wire.schema import Schema, declare

SCHEMA: Final[Schema] = {
    "Status": ("code 1 int32", "message 2 string"),
    "Node": ("id 1 string", "metadata 3 Struct", "extensions 9 *Extension"),
    "Extension": (
        "name 1 string",
        "category 2 string",
        "disabled 5 bool",
        "type_urls 6 *string",
    ),
    "DiscoveryRequest": (
        "version_info 1 string",
        "node 2 Node",
        "resource_names 3 *string",
        "type_url 4 string",
        "response_nonce 5 string",
        "error_detail 6 Status",
    ),
    "DiscoveryResponse": (
        "version_info 1 string",
        "resources 2 *Any",
        "type_url 4 string",
        "nonce 5 string",
    ),
    "DeltaDiscoveryRequest": (
        "node 1 Node",
        "type_url 2 string",
        "resource_names_subscribe 3 *string",
        "resource_names_unsubscribe 4 *string",
        "initial_resource_versions 5 {}string",
        "response_nonce 6 string",
        "error_detail 7 Status",
    ),
    "DeltaDiscoveryResponse": (
        "system_version_info 1 string",
        "resources 2 *Resource",
        "type_url 4 string",
        "nonce 5 string",
        "removed_resources 6 *string",
    ),
    "Resource": ("version 1 string", "resource 2 Any", "name 3 string"),
    "Secret": (
        "name 1 string",
        "tls_certificate 2 TlsCertificate",
        "validation_context 4 CertificateValidationContext",
    ),
    "TlsCertificate": ("certificate_chain 1 DataSource", "private_key 2 DataSource"),
    "CertificateValidationContext": ("trusted_ca 1 DataSource",),
    "DataSource": ("inline_bytes 2 bytes",),
}

_message = declare("hybrid_mesh.discovery", SCHEMA)

DiscoveryRequest: Final = _message("DiscoveryRequest")
DiscoveryResponse: Final = _message("DiscoveryResponse")
DeltaDiscoveryRequest: Final = _message("DeltaDiscoveryRequest")
DeltaDiscoveryResponse: Final = _message("DeltaDiscoveryResponse")
Resource: Final = _message("Resource")
Secret: Final = _message("Secret")
