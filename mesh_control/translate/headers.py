# SPDX-License-Identifier: Apache-2.0
"""Changes of headers on a route or on one of its weighted clusters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envoy.config.core.v3 import base_pb2

from mesh_control.translate.api.virtual_service import HeaderOperations, Headers


def change_headers(owner: Any, headers: Headers) -> None:
    """Add the changes to ``owner``, a Route or a ClusterWeight."""
    owner.request_headers_to_add.extend(_added(headers.request))
    owner.request_headers_to_remove.extend(_removed(headers.request))
    owner.response_headers_to_add.extend(_added(headers.response))
    owner.response_headers_to_remove.extend(_removed(headers.response))


def new_authority(headers: Headers) -> str:
    """Return the Host that the changes ask for; Envoy takes it as a rewrite, not as a header."""
    for values in (headers.request.set, headers.request.add):
        for name, value in values.items():
            if name.lower() in ("host", ":authority"):
                return value
    return ""


def _added(operations: HeaderOperations) -> Iterator[base_pb2.HeaderValueOption]:
    option = base_pb2.HeaderValueOption
    for values, action in (
        (operations.set, option.OVERWRITE_IF_EXISTS_OR_ADD),
        (operations.add, option.APPEND_IF_EXISTS_OR_ADD),
    ):
        for name, value in sorted(values.items()):
            if not _internal(name):
                yield option(
                    header=base_pb2.HeaderValue(key=name, value=value), append_action=action
                )


def _removed(operations: HeaderOperations) -> Iterator[str]:
    return (name for name in operations.remove if not _internal(name))


def _internal(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"
