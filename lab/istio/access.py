# SPDX-License-Identifier: Apache-2.0
"""How this machine speaks to the lab's cluster."""

from __future__ import annotations

from lab.cluster import api_plan
from lab.cluster.pki import Authority
from lab.istio.install import OPERATOR
from lab.istio.units import api
from lab.spec import Cluster, Host
from lab.state import State


def write_kubeconfigs(host: Host, cluster: Cluster, authority: Authority, state: State) -> None:
    """Writes the administrator's kubeconfig and the operator's."""
    plan = api(host, cluster)
    administrator = api_plan.client(plan, authority, "admin", (api_plan.ADMIN_GROUP,))
    state.write_secret(state.administrator, administrator)
    state.write_secret(state.operator, api_plan.client(plan, authority, OPERATOR))
