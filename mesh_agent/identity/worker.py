# SPDX-License-Identifier: Apache-2.0
"""The short-lived process that makes keys and reads certificates.

The cryptography library takes 9 MB of resident memory, and an agent needs it for milliseconds a
day. So it is loaded here, in a child that ends after its work: one JSON object a line on stdin,
one on stdout. Keys pass through pipes between two processes of one user, never argv or a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping

from mesh_core import pki
from mesh_core.errors import MeshError


def answer(order: Mapping[str, str]) -> dict[str, object]:
    """Do one order.

    ``{do: request, spiffe_id}`` -> ``{key, csr}``;
    ``{do: read, key, chain}`` -> ``{spiffe_ids, serial, not_before, not_after, key_matches}``;
    either -> ``{error}``.
    """
    try:
        if order["do"] == "request":
            key = pki.new_key()
            return {"key": key.decode(), "csr": pki.new_csr(key, order["spiffe_id"]).decode()}
        key, chain = order["key"].encode(), order["chain"].encode()
        found = pki.read_certificate(chain)
        return {
            "spiffe_ids": list(found.uri_sans),
            "serial": found.serial_hex,
            "not_before": found.not_before.isoformat(),
            "not_after": found.not_after.isoformat(),
            "key_matches": pki.key_matches(key, chain),
        }
    except (MeshError, ValueError) as error:
        return {"error": str(error)}


def main() -> None:
    """Answer orders until stdin ends, or until nobody is there to hear the answer."""
    with contextlib.suppress(BrokenPipeError):
        for line in sys.stdin:
            os.write(sys.stdout.fileno(), json.dumps(answer(json.loads(line))).encode() + b"\n")


if __name__ == "__main__":
    main()
