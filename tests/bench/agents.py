# SPDX-License-Identifier: Apache-2.0
"""Our agent and Istio's, each with an Envoy of its own, as they are started on a host."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from lab.tools import tool
from lab.tools.catalog import DEFINITION
from tests.bench.measure import seconds_until
from tests.bench.mesh import ACCOUNT, GROUP, NAMESPACE, Mesh
from tests.bench.room import ADDRESS

DNS_PORT, STATUS_PORT = 15053, 15020

# Puts sockets where sd_listen_fds(3) has them, and becomes the agent.
_LAUNCHER = """
import fcntl, os, sys, time
given = [int(text) for text in sys.argv[1].split(",")]
aside = [fcntl.fcntl(each, fcntl.F_DUPFD, 100) for each in given]
for place, descriptor in enumerate(aside, 3):
    os.dup2(descriptor, place)
count = len(given)
os.closerange(3 + count, 512)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count))
began = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
os.write(began, str(time.monotonic()).encode())
os.close(began)
os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass(slots=True)
class Running:
    """A running agent. ``began`` is the monotonic time of its exec."""

    process: subprocess.Popen[bytes]
    began: float
    certificate: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def has_certificate(self) -> bool:
        return self.certificate.exists()

    def ready(self) -> bool:
        """Whether its readiness is told to those who ask."""
        try:
            url = f"http://127.0.0.1:{STATUS_PORT}/healthz/ready"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


class Agent(Protocol):
    """A way to run an agent in a new directory."""

    @property
    def name(self) -> str: ...

    def prepare(self, directory: Path, mesh: Mesh) -> None:
        """Write what Ansible or a person would have put on the host."""

    def started(self, directory: Path) -> AbstractContextManager[Running]:
        """Run it, and an Envoy; at the end of the block both are killed."""


@dataclass(frozen=True, slots=True)
class Ours:
    """``command`` starts mesh-agent, as the start script of a host's runtime does."""

    command: Sequence[str]
    name: str = "mesh-agent"

    def prepare(self, directory: Path, mesh: Mesh) -> None:
        (directory / "token").write_text(mesh.token() + "\n")
        (directory / "config.d").mkdir(parents=True)
        settings = {
            "control_plane": {
                "addresses": mesh.istiod.addresses,
                "root_certificate": str(mesh.istiod.root_certificate),
            },
            "mesh": {"cluster_id": mesh.istiod.cluster_id, "network": ""},
            "workload": {
                "name": "bench-1",
                "namespace": NAMESPACE,
                "service_account": ACCOUNT,
                "group": GROUP,
                "addresses": [ADDRESS],
            },
            "identity": {"token": str(directory / "token")},
        }
        (directory / "config.d" / "agent.yaml").write_text(json.dumps(settings))
        (directory / "run" / "mesh-agent").mkdir(parents=True)
        (directory / "run" / "mesh-proxy").mkdir()
        command = [*self.command, "proxy", "bootstrap", "--output", str(directory / "envoy.json")]
        subprocess.run([*command, *_directories(directory)], check=True, timeout=60)

    @contextmanager
    def started(self, directory: Path) -> Iterator[Running]:
        """With Envoy started beside it."""
        envoy = [str(envoy_binary()), "-c", str(directory / "envoy.json"), "-l", "warning"]
        envoy += ["--disable-hot-restart", "--concurrency", "1"]
        with (
            self.alone(directory, DNS_PORT) as running,
            (directory / "envoy.log").open("ab") as log,
            _child(envoy, log),
        ):
            yield running

    @contextmanager
    def alone(self, directory: Path, dns_port: int) -> Iterator[Running]:
        """With its sockets held, as a socket unit does."""
        run = directory / "run" / "mesh-agent"
        with (
            _unix(run / "sds.sock") as sds,
            _unix(run / "xds.sock") as xds,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket() as tcp,
            (directory / "agent.log").open("ab") as log,
        ):
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for sock in (udp, tcp):
                sock.bind(("127.0.0.1", dns_port))
            tcp.listen(100)
            for sock in (sds, xds, udp, tcp):
                sock.set_inheritable(True)
            held = [str(sock.fileno()) for sock in (sds, xds, udp, tcp)]
            launcher = ["/usr/bin/python3", "-I", "-S", "-c", _LAUNCHER, ",".join(held)]
            moment = directory / "began"
            moment.unlink(missing_ok=True)
            command = [*launcher, str(moment), *self.command, "run", *_directories(directory)]
            with _child(command, log, inherit=True) as (process, began):
                seconds_until("the launcher", began, lambda: moment.exists() and moment.read_text())
                began = float(moment.read_text())
                yield Running(process, began, directory / "state" / "identity" / "current")


@dataclass(frozen=True, slots=True)
class Istios:
    """pilot-agent, set up as by `istioctl x workload entry configure`."""

    name: str = "pilot-agent"

    def prepare(self, directory: Path, mesh: Mesh) -> None:
        for name in ("etc/istio/proxy", "etc/istio/config", "etc/certs"):
            (directory / name).mkdir(parents=True)
        for name in ("var/run/secrets/tokens", "var/lib/istio/envoy", "var/log/istio"):
            (directory / name).mkdir(parents=True)
        (directory / "var/run/secrets/tokens/istio-token").write_text(mesh.token())
        (directory / "etc/certs/root-cert.pem").write_bytes(
            mesh.istiod.root_certificate.read_bytes()
        )
        (directory / "var/lib/istio/envoy/envoy_bootstrap_tmpl.json").write_bytes(
            _template().read_bytes()
        )
        config = {
            "discoveryAddress": mesh.istiod.addresses[0],
            "binaryPath": str(envoy_binary()),
            "concurrency": 1,
            "proxyMetadata": {
                "ISTIO_META_CLUSTER_ID": mesh.istiod.cluster_id,
                "ISTIO_META_AUTO_REGISTER_GROUP": GROUP,
                "ISTIO_META_DNS_CAPTURE": "true",
                "ISTIO_META_WORKLOAD_NAME": GROUP,
                "ISTIO_METAJSON_LABELS": json.dumps({"app": GROUP}),
            },
        }
        environment = {
            "PROXY_CONFIG": json.dumps(config),
            "INSTANCE_IP": ADDRESS,
            "POD_NAME": "bench-2",
            "POD_NAMESPACE": NAMESPACE,
            "SERVICE_ACCOUNT": ACCOUNT,
            "CA_ADDR": mesh.istiod.addresses[0],
            "PROV_CERT": "./etc/certs",
            "OUTPUT_CERTS": "./etc/certs",
            "ISTIOD_SAN": "istiod.istio-system.svc",
            "CLOUD_PLATFORM": "none",
            **config["proxyMetadata"],  # type: ignore[dict-item]
        }
        (directory / "environment.json").write_text(json.dumps(environment))

    @contextmanager
    def started(self, directory: Path) -> Iterator[Running]:
        """It starts its Envoy itself."""
        environment = os.environ | json.loads((directory / "environment.json").read_text())
        command = [str(tool("pilot-agent")), "proxy", "sidecar", "--domain"]
        command += [f"{NAMESPACE}.svc.cluster.local"]
        with (
            (directory / "agent.log").open("ab") as log,
            _child(command, log, directory, environment) as agent,
        ):
            yield Running(*agent, directory / "etc/certs/cert-chain.pem")


def envoy_binary() -> Path:
    """The released Envoy, as the roles install it."""
    return Path(sysconfig.get_path("purelib")) / "envoy" / "_bin" / "envoy"


def _template() -> Path:
    """The bootstrap that Istio's package brings: a file of its source, as pinned."""
    listing = ["go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio"]
    done = subprocess.run(
        listing, cwd=DEFINITION / "istio", capture_output=True, text=True, timeout=120, check=True
    )
    return Path(done.stdout.strip()) / "tools" / "packaging" / "common" / "envoy_bootstrap.json"


def _directories(directory: Path) -> list[str]:
    return [
        *("--config", str(directory / "config.d")),
        *("--state", str(directory / "state")),
        *("--run", str(directory / "run")),
    ]


@contextmanager
def _unix(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen(100)
        yield sock
    path.unlink()


@contextmanager
def _child(
    command: Sequence[str],
    log: IO[bytes],
    directory: Path | None = None,
    environment: dict[str, str] | None = None,
    *,
    inherit: bool = False,
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """Run a program in a session of its own; whatever is left of the session ends with it."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=directory,
        env=environment,
        start_new_session=True,
        close_fds=not inherit,
    )
    try:
        yield process, began
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
