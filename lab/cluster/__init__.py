# SPDX-License-Identifier: Apache-2.0
"""Real clusters without nodes: an API server and istiod as plain processes, in a directory.

`api_plan` and `istiod_plan` say, without doing anything, how the programs are run and with which
files: tests run them as children (ApiServer, Istiod), the lab as systemd units on a host.
"""

from __future__ import annotations

from lab.cluster.api_server import ApiServer
from lab.cluster.istiod import Istiod

__all__ = ["ApiServer", "Istiod"]
