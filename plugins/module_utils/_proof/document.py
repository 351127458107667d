# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""verify.json: everything about the run."""

from __future__ import annotations

import json
from collections import Counter

from .results import RESULT_KEYS, Report, stamp


def to_json(report: Report) -> str:
    """The document; its keys do not change within one format number."""
    outcomes = Counter(call.outcome for call in report.calls)
    document = {
        "format": 1,
        "mesh": report.mesh,
        "trust_domain": report.trust_domain,
        "finished": stamp(report.finished),
        "ok": not report.failed,
        "total": len(report.calls),
        "failed": len(report.failed),
        "outcomes": dict(sorted(outcomes.items())),
        "hosts": [
            {
                "name": host.name,
                "kind": host.kind,
                "networks": list(host.networks),
                "addresses": list(host.addresses),
                "identity": host.identity or None,
            }
            for host in report.hosts
        ],
        "calls": [
            {
                "number": call.number,
                "from": call.source,
                "to": list(call.targets),
                "name": call.name,
                "url": call.url,
                "expect": call.expect,
                "gateway": call.gateway or None,
                **{key: call.result[key] for key in RESULT_KEYS},
            }
            for call in report.calls
        ],
    }
    return json.dumps(document, indent=2) + "\n"
