# SPDX-License-Identifier: Apache-2.0
"""Answers from the last good resources, while no control plane answers. Pure.

An Envoy that holds configuration keeps it: it may be newer than what was kept on disk. Only what
it lacks is given.
"""

from __future__ import annotations

from typing import Any

from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.subscriptions import Subscription
from mesh_core.wire import discovery


def answer(store: LastGood, type_url: str, subscription: Subscription, nonce: str) -> Any | None:
    """Return the DeltaDiscoveryResponse for what Envoy asked for and lacks, None if it is nothing.

    A wildcard gets the whole set, also an empty one: Envoy starts only when it has an answer. A
    name that is not among the last good ones is said not to exist, or a cluster or listener that
    refers to it would hold up Envoy's start for 15 seconds.
    """
    if not store.knows(type_url):
        return None
    kept = store.resources(type_url)
    coming = {name for update in subscription.pending for name in update.names}
    missing = subscription.names - subscription.versions.keys() - subscription.absent - coming
    starting = subscription.wildcard and not (subscription.versions or subscription.answered)
    if not (missing or starting):
        return None
    response = discovery.DeltaDiscoveryResponse(
        type_url=type_url, nonce=nonce, removed_resources=sorted(missing - kept.keys())
    )
    for name in sorted(kept if starting else missing & kept.keys()):
        response.resources.add().MergeFromString(kept[name][1])
    return response
