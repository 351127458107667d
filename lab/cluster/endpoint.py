# SPDX-License-Identifier: Apache-2.0
"""Where a program listens, as programs are told it. Pure."""

from __future__ import annotations

LOOPBACK = "127.0.0.1"


def join(address: str, port: int) -> str:
    """`ADDRESS:PORT`, with brackets around an IPv6 address."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
