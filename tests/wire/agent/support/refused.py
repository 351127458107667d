# SPDX-License-Identifier: Apache-2.0
"""An object that control planes pass on and that Envoy refuses."""

from __future__ import annotations

from typing import Any, Final

COMPLAINT: Final = "HeaderMatcherValidationError.Name"
NO_NAME: Final = "two\nlines"


def header_needed(name: str) -> dict[str, Any]:
    """An AuthorizationPolicy for hosts of ``api``: it becomes a part of ``virtualInbound``."""
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "header"},
        "spec": {
            "selector": {"matchLabels": {"app": "api"}},
            "action": "ALLOW",
            "rules": [{"when": [{"key": f"request.headers[{name}]", "values": ["x"]}]}],
        },
    }
