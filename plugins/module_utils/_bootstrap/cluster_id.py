# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Which cluster a host says it belongs to: a token is good in one cluster only."""

from __future__ import annotations

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.control_plane import (
    ControlPlane,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import (
    BootstrapError,
    NotAllowedError,
    NotFoundError,
)


def choose(plane: ControlPlane, given: str | None) -> tuple[str, str]:
    """The cluster's ID, and what could not be checked about it (empty when all could).

    Raises BootstrapError when it is unknown, or one that istiod does not know.
    """
    try:
        own = plane.own_cluster_id()
    except (NotFoundError, NotAllowedError) as error:
        if not given:
            raise BootstrapError(
                f"cluster ID unknown: {error}; give the option cluster_id"
            ) from error
        return given, _not_compared(given, str(error))
    if not own:
        name = f"{plane.revision.namespace}/{plane.revision.of('istio-sidecar-injector')}"
        silent = f"ConfigMap {name} has no global.multiCluster.clusterName in its values"
        if given:
            return given, _not_compared(given, silent)
        raise BootstrapError(f"cluster ID unknown: {silent}; give the option cluster_id")
    if given and given != own:
        return given, _look_among_remote(plane, given, own)
    return own, ""


def _not_compared(given: str, reason: str) -> str:
    return (
        f"cluster_id: found {given}, could not be compared with what the cluster calls itself, "
        f"and istiod refuses the tokens of hosts that say another: {reason}"
    )


def _look_among_remote(plane: ControlPlane, given: str, own: str) -> str:
    try:
        known = [own, *plane.remote_cluster_ids()]
    except NotAllowedError as error:
        return (
            f"cluster_id: found {given}, the cluster calls itself {own}; whether istiod knows "
            f"both could not be seen: {error}"
        )
    if given not in known:
        raise BootstrapError(
            f"cluster_id: expected a cluster that istiod knows ({', '.join(known)}), found {given}"
        )
    return ""
