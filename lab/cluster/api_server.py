# SPDX-License-Identifier: Apache-2.0
"""A real API server beside the tests: etcd and kube-apiserver as plain processes."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from lab.cluster import api_plan, token
from lab.cluster.api_plan import ApiPlan
from lab.cluster.endpoint import LOOPBACK
from lab.cluster.http import answers
from lab.cluster.pki import Authority, Pair, write_secret
from lab.cluster.ports import free_ports
from lab.cluster.process import Process
from lab.errors import LabError
from lab.tools import directory as tools_directory
from lab.tools import tool

READY_SECONDS = 60.0
# Open watches keep a kube-apiserver from ending by itself for up to a minute.
STOP_SECONDS = 3.0
FIELD_MANAGER = "lab"


class ApiServer:
    """An API server on free ports of `address`; all its state is in `directory`, which is new.

    Once stopped it can be started again: the same data, ports, certificates and kubeconfigs.
    `nodes=True` adds what real nodes need (see ApiPlan); `names` are further names of its
    certificate, `arguments` further ones of kube-apiserver.
    """

    def __init__(
        self,
        directory: Path,
        *,
        name: str = "cluster1",
        address: str = LOOPBACK,
        nodes: bool = False,
        names: Sequence[str] = (),
        arguments: Sequence[str] = (),
        service_range: str = "10.96.0.0/16",
        service_ip: str = "10.96.0.1",
        pod_range: str = "10.244.0.0/16",
    ) -> None:
        port, etcd_port, peer_port = free_ports(3, address)
        self.directory = directory.absolute()
        self.plan = ApiPlan(
            name=name,
            directory=self.directory,
            port=port,
            etcd_port=etcd_port,
            etcd_peer_port=peer_port,
            address=address,
            names=tuple(names),
            nodes=nodes,
            service_range=service_range,
            service_ip=service_ip,
            pod_range=pod_range,
            arguments=tuple(arguments),
        )
        self.processes = [
            Process(command, self.directory / "logs" / f"{command.name}.log", self.directory)
            for command in api_plan.commands(self.plan, tools_directory())
        ]

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def address(self) -> str:
        return self.plan.address

    @property
    def port(self) -> int:
        return self.plan.port

    @property
    def url(self) -> str:
        return self.plan.url

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, a file of `directory`."""
        return self.directory / "kubeconfig"

    @property
    def certificate_authority(self) -> Path:
        """What a client trusts."""
        return self.directory / "ca.crt"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_reason: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start what does not run, and wait for it; LabError with a log's end if it fails."""
        for process in self.processes:
            tool(process.command.name)
        self._prepare()
        server = self.processes[1]
        context = self._client_context()
        for process in self.processes[:2]:
            process.start()
        server.wait_until(lambda: answers(f"{self.url}/readyz", context=context), READY_SECONDS)
        for process in self.processes[2:]:
            process.start()

    def stop(self) -> None:
        """Stop everything, etcd last."""
        for process in reversed(self.processes):
            process.stop(STOP_SECONDS)

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Run kubectl as the administrator; gives its output, LabError with its complaint."""
        done = subprocess.run(
            [str(tool("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={"PATH": os.environ["PATH"], "KUBECACHEDIR": str(self.directory / "kubectl")},
        )
        if done.returncode:
            raise LabError(f"{self.name}: kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Create or change objects, server-side, in the given order."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        how = ("--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}")
        self.kubectl("apply", *how, "--filename=-", stdin=json.dumps(items))

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get ARGUMENTS` as an object, or as a List."""
        answer = json.loads(self.kubectl("get", "--output=json", *arguments))
        if not isinstance(answer, dict):
            raise LabError(f"{self.name}: kubectl get {' '.join(arguments)}: gave no object")
        return answer

    def namespace(self, name: str, *service_accounts: str) -> None:
        """Make a namespace with these ServiceAccounts."""
        accounts = [
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": account, "namespace": name},
            }
            for account in service_accounts
        ]
        self.apply(
            [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, *accounts]
        )

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig file for `user`, who is of `groups`, by a client certificate."""
        path = self.directory / "users" / re.sub(r"[^\w.-]", "_", f"{user}.kubeconfig")
        path.parent.mkdir(exist_ok=True)
        text = api_plan.client(self.plan, self._authority(), user, tuple(groups))
        write_secret(path, text.encode())
        return path

    def token(
        self,
        namespace: str,
        service_account: str,
        audience: str = "istio-ca",
        seconds: int = 3600,
    ) -> str:
        """A token by TokenRequest, which gives at least 600 seconds."""
        how = (f"--audience={audience}", f"--duration={seconds}s")
        made = self.kubectl("create", "token", service_account, f"--namespace={namespace}", *how)
        return made.strip()

    def short_token(
        self, namespace: str, service_account: str, audience: str = "istio-ca", seconds: int = 5
    ) -> str:
        """A token of any life, also a negative one, signed with the API server's own key."""
        found = self.get("serviceaccount", service_account, f"--namespace={namespace}")
        key = (self.directory / "sa.key").read_bytes()
        uid = found["metadata"]["uid"]
        return token.sign(key, namespace, service_account, uid, audience, seconds)

    def _prepare(self) -> None:
        """Write the files of a new API server."""
        if self.kubeconfig.exists():
            return
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The kubeconfig is the last of them: it says that the others are there.
        for name, content in api_plan.files(self.plan, self._authority()).items():
            write_secret(self.directory / name, content)

    def _authority(self) -> Authority:
        return Authority.open(self.directory, f"{self.name} API server")

    def _client_context(self) -> ssl.SSLContext:
        """For the look at /readyz, which nobody may have without a certificate."""
        pair: Pair = self._authority().issue("admin", groups=[api_plan.ADMIN_GROUP])
        certificate = self.directory / "admin.pem"
        write_secret(certificate, pair.certificate + pair.key)
        context = ssl.create_default_context(cafile=str(self.certificate_authority))
        context.load_cert_chain(certificate)
        return context
