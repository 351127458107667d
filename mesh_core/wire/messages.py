# SPDX-License-Identifier: Apache-2.0
"""Istio's own messages, with the names and numbers of istio/api (``security/v1alpha1/ca.proto``)
and of istio's ``pkg/dns/proto/nds.proto``."""

from __future__ import annotations

from typing import Final

from mesh_core.wire.schema import declare

_ca = declare(
    "istio.v1.auth",
    {
        "IstioCertificateRequest": (
            "csr 1 string",
            "validity_duration 3 int64",
            "metadata 4 Struct",
        ),
        "IstioCertificateResponse": ("cert_chain 1 *string",),
    },
)
_names = declare(
    "istio.networking.nds.v1",
    {
        "NameTable": ("table 1 {}NameInfo",),
        "NameInfo": (
            "ips 1 *string",
            "registry 2 string",
            "shortname 3 string",
            "namespace 4 string",
            "alt_hosts 5 *string",
        ),
    },
)

IstioCertificateRequest: Final = _ca("IstioCertificateRequest")
IstioCertificateResponse: Final = _ca("IstioCertificateResponse")
NameTable: Final = _names("NameTable")
NameInfo: Final = _names("NameInfo")
