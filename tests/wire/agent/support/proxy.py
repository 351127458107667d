# SPDX-License-Identifier: Apache-2.0
"""A real Envoy, started with the agent's bootstrap on private sockets and free ports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh_agent.envoy.admin import EnvoyAdmin
from mesh_agent.envoy.bootstrap import bootstrap
from mesh_agent.redirect.facts import Host
from mesh_agent.settings import AgentSettings, Paths
from mesh_core import http

# A network and a /var/log of its own; for root and for anyone who may have namespaces.
_ALONE = (
    *("unshare", "--map-root-user", "--net", "--mount", "sh", "-ec"),
    'ip link set lo up; mount -t tmpfs none /var/log; mkdir /var/log/mesh-proxy; exec "$@"',
    "sh",
)


def _within(namespace: str, logs: Path) -> tuple[str, ...]:
    mounts = "mount -t tmpfs none /var/log; mkdir /var/log/mesh-proxy"
    return (
        *("ip", "netns", "exec", namespace, "sh", "-ec"),
        f'{mounts}; mount --bind "{logs}" /var/log/mesh-proxy; exec "$@"',
        "sh",
    )


@dataclass(slots=True)
class Envoy:
    """A running Envoy."""

    process: asyncio.subprocess.Process
    paths: Paths
    log: Path

    @property
    def admin(self) -> EnvoyAdmin:
        """Its administration interface."""
        return EnvoyAdmin(self.paths.admin_socket)

    async def names(self, kind: str) -> dict[str, str]:
        """Names of what is in force (``clusters``, ``listeners``, ``endpoints``) -> version."""
        return {name: version for name, version, _ in await self._dump(kind)}

    async def contents(self, kind: str) -> dict[str, str]:
        """Names of what is in force -> what it is; istiod gives no versions."""
        return {
            name: json.dumps(found, sort_keys=True) for name, _, found in await self._dump(kind)
        }

    async def _dump(self, kind: str) -> list[tuple[str, str, Any]]:
        try:
            answer = await http.get("/config_dump?include_eds", unix=self.paths.admin_socket)
        except OSError:
            return []
        lists = {
            "clusters": ("dynamic_active_clusters", "cluster", "name"),
            "listeners": ("dynamic_listeners", "listener", "name"),
            "endpoints": ("dynamic_endpoint_configs", "endpoint_config", "cluster_name"),
        }
        where, what, name = lists[kind]
        found = []
        for config in json.loads(answer.body)["configs"]:
            for each in config.get(where, []):
                if kind == "listeners":
                    each = each.get("active_state", {})
                if what in each:
                    found.append((each[what][name], each.get("version_info", ""), each[what]))
        return found


@asynccontextmanager
async def running_envoy(
    binary: Path,
    settings: AgentSettings,
    paths: Paths,
    directory: Path,
    *,
    alone: bool = False,
    api_type: str = "DELTA_GRPC",
    namespace: str = "",
) -> AsyncIterator[Envoy]:
    """Start Envoy; it is killed afterwards.

    ``alone``: with all ports and log files; ``namespace``: in this network, with its log files in
    ``directory``.
    """
    config: dict[str, Any] = bootstrap(settings, paths, has_ipv6=Host().can_ipv6())
    for listener in config["static_resources"]["listeners"]:
        listener["address"]["socket_address"] |= {"address": "127.0.0.1", "port_value": 0}
        listener["additional_addresses"] = []
    config["dynamic_resources"]["ads_config"]["api_type"] = api_type
    paths.admin_socket.parent.mkdir(parents=True, exist_ok=True)
    file, log = directory / "bootstrap.json", directory / "envoy.log"
    file.write_text(json.dumps(config))
    with log.open("ab") as stream:
        process = await asyncio.create_subprocess_exec(
            *(_ALONE if alone else ()),
            *(_within(namespace, directory) if namespace else ()),
            *(str(binary), "-c", str(file), "--concurrency", "1", "--disable-hot-restart"),
            *("-l", "info"),
            stdout=stream,
            stderr=stream,
        )
    try:
        yield Envoy(process, paths, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
