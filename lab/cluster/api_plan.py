# SPDX-License-Identifier: Apache-2.0
"""How an API server and its companions are run: files, arguments, order. Pure.

The same plan serves plain processes beside the tests and systemd units on a host of the lab.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import PurePath

from lab.cluster import kubeconfig
from lab.cluster.command import Command, flags
from lab.cluster.endpoint import LOOPBACK, join
from lab.cluster.pki import Authority, signing_key

ISSUER = "https://kubernetes.default.svc"
# Tokens of the first are for the API server itself, those of the second for istiod.
AUDIENCES = (ISSUER, "istio-ca")
ADMIN_GROUP = "system:masters"
_SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


@dataclass(frozen=True, slots=True)
class ApiPlan:
    """Where everything of one API server is: addresses, ports, and `directory` with its files.

    `nodes` adds what real nodes need: their authorizer, a controller-manager and a scheduler.
    Without it there are no default ServiceAccounts, no EndpointSlices, no garbage collection, and a
    deleted namespace stays Terminating. `service_ip` is the first address of `service_range`.
    `names` are further names or addresses of the server for its certificate.
    """

    name: str
    directory: PurePath
    port: int
    etcd_port: int
    etcd_peer_port: int
    address: str = LOOPBACK
    names: tuple[str, ...] = ()
    nodes: bool = False
    service_range: str = "10.96.0.0/16"
    service_ip: str = "10.96.0.1"
    pod_range: str = "10.244.0.0/16"
    arguments: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"https://{join(self.address, self.port)}"

    def file(self, name: str) -> str:
        """The path of one of `files`, as the programs are told it."""
        return str(self.directory / name)


def files(plan: ApiPlan, authority: Authority) -> dict[str, bytes]:
    """What has to be in the plan's directory, by name. New keys with every call; all are secret."""
    sans = (*_SERVER_NAMES, LOOPBACK, plan.address, plan.service_ip, *plan.names)
    server = authority.issue("kube-apiserver", sans=tuple(dict.fromkeys(sans)))
    kubelet = authority.issue("kube-apiserver-kubelet-client", groups=[ADMIN_GROUP])
    made = {
        "ca.crt": authority.pair.certificate,
        "server.crt": server.certificate,
        "server.key": server.key,
        "kubelet-client.crt": kubelet.certificate,
        "kubelet-client.key": kubelet.key,
        "sa.key": signing_key(),
        "kubeconfig": client(plan, authority, "admin", (ADMIN_GROUP,)).encode(),
    }
    if plan.nodes:
        for program in ("kube-controller-manager", "kube-scheduler"):
            user = client(plan, authority, f"system:{program}")
            made[f"{program}.kubeconfig"] = user.encode()
    return made


def client(plan: ApiPlan, authority: Authority, user: str, groups: tuple[str, ...] = ()) -> str:
    """The text of a kubeconfig for `user`, who is of `groups`, by a client certificate."""
    pair = authority.issue(user, groups=groups)
    return kubeconfig.with_certificate(plan.name, plan.url, authority.pair.certificate, pair)


def commands(plan: ApiPlan, tools: PurePath) -> list[Command]:
    """What to run, in the order of starting; to be stopped in the reverse order.

    An API server whose etcd is gone hangs when it is stopped.
    """
    first = [etcd(plan, tools), api_server(plan, tools)]
    return (
        [*first, controller_manager(plan, tools), scheduler(plan, tools)] if plan.nodes else first
    )


def etcd(plan: ApiPlan, tools: PurePath) -> Command:
    """etcd for this one API server, on loopback; it does not wait for the disk."""
    clients = f"http://{LOOPBACK}:{plan.etcd_port}"
    peers = f"http://{LOOPBACK}:{plan.etcd_peer_port}"
    arguments = flags(
        {
            "name": "default",
            "data-dir": plan.file("etcd"),
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
            "unsafe-no-fsync": True,
        }
    )
    return Command("etcd", (str(tools / "etcd"), *arguments))


def api_server(plan: ApiPlan, tools: PurePath) -> Command:
    """kube-apiserver with RBAC and TokenRequest."""
    values: dict[str, object] = {
        "etcd-servers": f"http://{LOOPBACK}:{plan.etcd_port}",
        "bind-address": plan.address,
        "secure-port": plan.port,
        "tls-cert-file": plan.file("server.crt"),
        "tls-private-key-file": plan.file("server.key"),
        "client-ca-file": plan.file("ca.crt"),
        "service-cluster-ip-range": plan.service_range,
        "service-account-issuer": ISSUER,
        "service-account-signing-key-file": plan.file("sa.key"),
        "service-account-key-file": plan.file("sa.key"),
        "api-audiences": AUDIENCES,
        "allow-privileged": True,
        "authorization-mode": ("Node", "RBAC") if plan.nodes else ("RBAC",),
    }
    if plan.nodes:
        values |= {
            "advertise-address": plan.address,
            "enable-admission-plugins": "NodeRestriction",
            "enable-aggregator-routing": True,
            "kubelet-client-certificate": plan.file("kubelet-client.crt"),
            "kubelet-client-key": plan.file("kubelet-client.key"),
            "kubelet-certificate-authority": plan.file("ca.crt"),
            "kubelet-preferred-address-types": "InternalIP",
        }
    else:
        # It asks for the ServiceAccount `default`, which nobody makes here.
        values["disable-admission-plugins"] = "ServiceAccount"
    if not plan.nodes or ipaddress.ip_address(plan.address).is_loopback:
        # Nobody looks for the Service `kubernetes`; and an endpoint may not be on loopback.
        values["endpoint-reconciler-type"] = "none"
    return Command(
        "kube-apiserver", (str(tools / "kube-apiserver"), *flags(values), *plan.arguments)
    )


def controller_manager(plan: ApiPlan, tools: PurePath) -> Command:
    """kube-controller-manager: ServiceAccounts, EndpointSlices, Deployments, garbage."""
    name = "kube-controller-manager"
    values = _companion(plan, name) | {
        "service-account-private-key-file": plan.file("sa.key"),
        "root-ca-file": plan.file("ca.crt"),
        "use-service-account-credentials": True,
        "cluster-cidr": plan.pod_range,
    }
    return Command(name, (str(tools / name), *flags(values)))


def scheduler(plan: ApiPlan, tools: PurePath) -> Command:
    """kube-scheduler: gives pods to nodes."""
    name = "kube-scheduler"
    return Command(name, (str(tools / name), *flags(_companion(plan, name))))


def _companion(plan: ApiPlan, name: str) -> dict[str, object]:
    config = plan.file(f"{name}.kubeconfig")
    return {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "leader-elect": False,
        "secure-port": 0,
    }
