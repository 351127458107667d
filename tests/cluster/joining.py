# SPDX-License-Identifier: Apache-2.0
"""A host that joins istiod with what workload_bootstrap gives: the agent's parts and an Envoy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh_agent.identity.settings import ControlPlaneSettings, IdentitySettings
from mesh_agent.settings import AgentSettings, MeshSettings, Paths, PortSettings, WorkloadSettings
from tests.wire.agent.support.host import Host, running_host
from tests.wire.agent.support.proxy import Envoy, running_envoy
from tests.wire.agent.support.wait import until

ADDRESS = "10.243.1.21"


@dataclass(frozen=True, slots=True)
class Joined:
    """``paths`` are the agent's; the admin socket of its Envoy is among them."""

    host: Host
    envoy: Envoy
    paths: Paths


def settings(bundle: dict[str, Any], mesh: dict[str, Any], directory: Path) -> AgentSettings:
    """The agent's settings for the host of a bundle; it has a port ``http``."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "root.pem").write_text(bundle["root_certificate"])
    (directory / "token").write_text(bundle["token"])
    return AgentSettings(
        control_plane=ControlPlaneSettings(
            addresses=tuple(mesh["addresses"]),
            server_name=mesh["server_name"],
            root_certificate=directory / "root.pem",
        ),
        mesh=MeshSettings(
            trust_domain=mesh["trust_domain"],
            mesh_id=mesh["mesh_id"],
            cluster_id=mesh["cluster_id"],
            network=bundle["network"],
        ),
        workload=WorkloadSettings(
            name=bundle["name"],
            namespace=bundle["namespace"],
            service_account=bundle["service_account"],
            group=bundle["group"],
            addresses=(ADDRESS,),
            ports=(PortSettings("http", 8080),),
        ),
        identity=IdentitySettings(token=directory / "token"),
    )


@asynccontextmanager
async def joined(settings: AgentSettings, directory: Path, binary: Path) -> AsyncIterator[Joined]:
    """Until the end of the block, a host whose Envoy serves what istiod gave it."""
    paths = Paths(directory / "state", directory / "run")
    async with running_host(settings, paths) as host:
        envoys = running_envoy(binary, settings, paths, directory, alone=True)
        async with envoys as envoy:
            await until(envoy.admin.live, 30)
            yield Joined(host, envoy, paths)


async def command(*arguments: str | Path) -> str:
    """What a program says on either output; its failure is an AssertionError with that."""
    process = await asyncio.create_subprocess_exec(
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _none = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    text = said.decode()
    assert process.returncode == 0, f"{' '.join(map(str, arguments))}\n{text}"
    return text
