# SPDX-License-Identifier: Apache-2.0
"""Which statistics Envoy keeps and which parts of their names are labels, as Istio has them. Pure.

Envoy makes hundreds of statistics for each cluster; keeping the few that somebody reads halves
its memory and the time to load a large mesh.
"""

from __future__ import annotations

from typing import Any

_TAGS = {
    "cluster_name": r"^cluster(\.(.+);)",
    "http_conn_manager_prefix": (
        r"^http\.(((?:[_.[:digit:]\w]*|[_\[\]aAbBcCdDeEfF[:digit:]\w\:]*));\.)"
    ),
    "thread_name": r"^server(\.(.+))\.watchdog",
    "tcp_prefix": r"^tcp\.((.*?)\.)\w+?$",
    "response_code": r"_rq(_(\d{3}))$",
    "response_code_class": r"_rq(_(\dxx))$",
    "http_conn_manager_listener_prefix": (
        r"^listener(?=\.).*?\.http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"
    ),
    "listener_address": r"^listener\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)",
    "authz_enforce_result": r"rbac(\.(allowed|denied))",
    "authz_dry_run_action": r"(\.istio_dry_run_(allow|deny)_)",
    "authz_dry_run_result": r"(\.shadow_(allowed|denied))",
}
_PREFIXES = (
    "reporter=",
    "cluster_manager",
    "listener_manager",
    "server",
    "cluster.xds-grpc",
    "component",
    "istio",
)
_SUFFIXES = ("rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied")
_PATTERNS = (r"vhost\..*\.route\..*",)


def stats_config() -> dict[str, Any]:
    """Return Envoy's ``stats_config``."""
    return {
        "use_all_default_tags": False,
        "stats_tags": [{"tag_name": name, "regex": regex} for name, regex in _TAGS.items()],
        "stats_matcher": {
            "inclusion_list": {
                "patterns": [
                    *({"prefix": text} for text in _PREFIXES),
                    *({"suffix": text} for text in _SUFFIXES),
                    *({"safe_regex": {"regex": text}} for text in _PATTERNS),
                ]
            }
        },
    }
