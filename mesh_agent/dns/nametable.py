# SPDX-License-Identifier: Apache-2.0
"""The NameTable message as plain records."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from mesh_agent.dns.table import HostRecord
from mesh_core.errors import MeshError
from mesh_core.wire.messages import NameTable


def decode_name_table(message: bytes) -> list[HostRecord]:
    """Return the entries of a NameTable message; MeshError when it is none."""
    try:
        table = NameTable.FromString(message)
    except DecodeError as error:
        raise MeshError(f"name table cannot be read: {error}") from error
    return [
        HostRecord(
            host,
            tuple(info.ips),
            info.registry,
            info.shortname,
            info.namespace,
            tuple(info.alt_hosts),
        )
        for host, info in table.table.items()
    ]
