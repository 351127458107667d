# SPDX-License-Identifier: Apache-2.0
"""How an istiod is run: environment, arguments, the objects that it finds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import yaml

from lab.cluster.command import Command
from lab.cluster.endpoint import LOOPBACK, join
from lab.cluster.pki import ISTIOD_NAME


@dataclass(frozen=True, slots=True)
class Ports:
    """What an istiod listens on: mutual TLS xDS, plain xDS, debug, metrics, ControlZ.

    `secure` is on the plan's address, the others on loopback.
    """

    secure: int = 15012
    plain: int = 15010
    debug: int = 8080
    metrics: int = 15014
    control: int = 9876


@dataclass(frozen=True, slots=True)
class IstiodPlan:
    """One istiod of a cluster. `directory`/ca holds its CA in the layout of a `cacerts` secret.

    `environment` wins over what is set here; `arguments` are further ones of `discovery`.
    """

    cluster: str
    directory: PurePath
    kubeconfig: PurePath
    ports: Ports = field(default_factory=Ports)
    address: str = LOOPBACK
    name: str = "istiod"
    namespace: str = "istio-system"
    revision: str = "default"
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


def command(plan: IstiodPlan, tools: PurePath) -> Command:
    """istiod with one cluster, without leader election, gateway deployments and webhooks."""
    environment = {
        "POD_NAME": plan.name,
        "POD_NAMESPACE": plan.namespace,
        "SERVICE_ACCOUNT": "istiod",
        "REVISION": plan.revision,
        "CLUSTER_ID": plan.cluster,
        "KUBECONFIG": str(plan.kubeconfig),
        "ROOT_CA_DIR": str(plan.directory / "ca"),
        # Names of its certificate beyond istiod.istio-system.svc.
        "ISTIOD_CUSTOM_HOST": ",".join(dict.fromkeys((plan.address, "localhost"))),
        "ENABLE_LEADER_ELECTION": "false",
        "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
        "VALIDATION_WEBHOOK_CONFIG_NAME": "",
        "INJECTION_WEBHOOK_CONFIG_NAME": "",
        "INJECT_ENABLED": "false",
    }
    arguments = {
        "secureGRPCAddr": join(plan.address, plan.ports.secure),
        "grpcAddr": join(LOOPBACK, plan.ports.plain),
        "httpAddr": join(LOOPBACK, plan.ports.debug),
        "httpsAddr": "",
        "monitoringAddr": join(LOOPBACK, plan.ports.metrics),
        "ctrlz_port": str(plan.ports.control),
        "clusterID": plan.cluster,
        "shutdownDuration": "1s",
    }
    return Command(
        plan.name,
        (
            str(tools / "istiod"),
            "discovery",
            *(f"--{name}={value}" for name, value in arguments.items()),
            *plan.arguments,
        ),
        environment | dict(plan.environment),
    )


def objects(
    plan: IstiodPlan,
    mesh: Mapping[str, Any] | None = None,
    networks: Mapping[str, Any] | None = None,
    network: str = "",
) -> list[dict[str, Any]]:
    """The namespace and the ConfigMap `istio`: all that an istiod without pods needs beside CRDs.

    `mesh` are fields of MeshConfig over those set here, `networks` those of MeshNetworks; `network`
    is the default network of the cluster.
    """
    config: dict[str, Any] = {
        "trustDomain": "cluster.local",
        "rootNamespace": plan.namespace,
        "defaultConfig": {"discoveryAddress": f"{ISTIOD_NAME}:15012", "meshId": "cluster.local"},
        # Stock Envoys need no providers to be left out for them: none is given.
        "defaultProviders": {},
    }
    for name, value in (mesh or {}).items():
        both = isinstance(value, Mapping) and isinstance(config.get(name), dict)
        config[name] = {**config[name], **value} if both else value
    labels = {"topology.istio.io/network": network} if network else {}
    namespace: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": plan.namespace, "labels": labels},
    }
    suffix = "" if plan.revision == "default" else f"-{plan.revision}"
    settings: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"istio{suffix}", "namespace": plan.namespace},
        "data": {
            "mesh": yaml.safe_dump(config, sort_keys=False),
            "meshNetworks": yaml.safe_dump({"networks": dict(networks or {})}, sort_keys=False),
        },
    }
    return [namespace, settings]
