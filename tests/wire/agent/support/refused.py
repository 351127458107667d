# SPDX-License-Identifier: Apache-2.0
"""An object that control planes pass on and that Envoy refuses."""

from __future__ import annotations

from typing import Any, Final

COMPLAINT: Final = "PathTemplate: value must have between 1 and 256 characters"
TOO_LONG: Final = "/{*}/" + 300 * "a"


def paths_allowed(template: str) -> dict[str, Any]:
    """An AuthorizationPolicy for hosts of ``api``: it becomes a part of ``virtualInbound``."""
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "paths"},
        "spec": {
            "selector": {"matchLabels": {"app": "api"}},
            "action": "ALLOW",
            "rules": [{"to": [{"operation": {"paths": [template]}}]}],
        },
    }
