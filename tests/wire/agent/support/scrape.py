# SPDX-License-Identifier: Apache-2.0
"""Istio's metrics of a host, as Prometheus gets them from its agent."""

from __future__ import annotations

import re

from mesh_agent.status.standard import standard
from tests.wire.agent.support.proxy import Envoy


async def metrics(envoy: Envoy) -> list[tuple[str, dict[str, str], float]]:
    """Istio's metrics as the agent gives them."""
    found = []
    for line in standard(await envoy.admin.prometheus()).decode().splitlines():
        if match := re.fullmatch(r"(istio_\w+)\{(.*)\} ([0-9.e+-]+)", line):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2]))
            found.append((match[1], labels, float(match[3])))
    return found


def value(
    found: list[tuple[str, dict[str, str], float]], name: str, **labels: str
) -> tuple[float, dict[str, str]]:
    """Sum of the samples that have these labels, and all labels of the last one."""
    these = [
        (labels_, number)
        for metric, labels_, number in found
        if metric == name and labels.items() <= labels_.items()
    ]
    assert these, (name, labels, [each for each in found if each[0] == name])
    return sum(number for _, number in these), these[-1][0]


async def total(envoy: Envoy, name: str, **labels: str) -> float:
    return sum(
        number
        for metric, labels_, number in await metrics(envoy)
        if metric == name and labels.items() <= labels_.items()
    )
