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

import re
import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.workloads import Workload

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Evidence:
    """What was found out beside the entries themselves; None for what could not be asked.

    ``connected`` holds the hosts that all istiods together are connected to, as (namespace,
    address, group). ``controllers`` holds the istiods by name, with the time when each started.
    """

    now: datetime
    stale_after: timedelta
    settle: timedelta
    connected: frozenset[tuple[str, str, str]] | None = None
    controllers: t.Mapping[str, datetime] | None = None


def absence(workload: Workload, evidence: Evidence) -> str | None:
    """Proof that the host which registered itself so is not connected, or None without any."""
    if workload.disconnected_at:
        return f"istiod saw it leave at {workload.disconnected_at}"
    me = (workload.namespace, workload.address, workload.group)
    if evidence.connected is not None:
        # This is the truth itself: nothing older counts beside it.
        return None if me in evidence.connected else "no istiod has a connection to it"
    since = parse_time(workload.connected_at)
    if since is None:
        return None
    if evidence.now - since > evidence.stale_after:
        # istiod ends every connection sooner than that, and a host that is there connects again.
        return f"it connected at {workload.connected_at} and not again since"
    return _left_behind(workload, since, evidence)


def _left_behind(workload: Workload, since: datetime, evidence: Evidence) -> str | None:
    """Proof that the istiod it was connected to is gone, and that it did not come back."""
    if not evidence.controllers or not workload.controller:
        return None
    started = evidence.controllers.get(workload.controller)
    if started is None:
        if evidence.now - since < evidence.settle:
            return None
        return f"its istiod {workload.controller} is gone, and it is at no other"
    if since < started and evidence.now - started > evidence.settle:
        return f"its istiod started anew at {started.isoformat()}, and it did not come back"
    return None


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time, also with nanoseconds; None for anything else."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    # Six digits at most are what Python before 3.11 reads.
    fraction = (found[2] or ".0")[:7].ljust(7, "0")
    zone = "+00:00" if found[3] == "Z" else found[3]
    return datetime.fromisoformat(f"{found[1]}{fraction}{zone}").astimezone(timezone.utc)
