# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Whether a host is still there, from what is known of its connection to istiod. Pure.

istiod writes when a host connected, and when it left. An istiod that dies writes nothing more, so
an entry can say that a host is connected which left long ago. That a host is away takes proof; an
entry without proof is never removed.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.workloads import Workload

# (namespace, address, group)
Place = t.Tuple[str, str, str]


@dataclass(frozen=True)
class Evidence:
    """What all istiods together said.

    ``connected`` holds the hosts that they are connected to; None when not all of them were asked,
    and ``unasked`` then says why.
    """

    connected: frozenset[Place] | None = None
    unasked: str = "no istiod was asked"


def judge(workload: Workload, evidence: Evidence) -> tuple[str | None, str]:
    """Why the entry of a host that registered itself may go, or else None and why it stays."""
    if workload.disconnected_at:
        return f"istiod saw it leave at {workload.disconnected_at}", ""
    if evidence.connected is None:
        return None, f"nothing proves that the host is away: {evidence.unasked}"
    if (workload.namespace, workload.address, workload.group) in evidence.connected:
        return None, "an istiod has a connection to it: it is alive"
    return "no istiod has a connection to it", ""
