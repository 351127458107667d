# SPDX-License-Identifier: Apache-2.0
"""The real programs that the tests and the lab run: Kubernetes, etcd, Istio, CoreDNS.

`make tools` puts them into a cache outside the checkout; `tool` says where one is.
"""

from __future__ import annotations

from lab.tools.location import directory, missing, tool

__all__ = ["directory", "missing", "tool"]
