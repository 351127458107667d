# SPDX-License-Identifier: Apache-2.0
"""Which programs there are and what each is built from. The versions are in the go.mod files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

DEFINITION = Path(__file__).parent
_REQUIRED = re.compile(r"^(?:require\s+)?\s*(\S+) (v\S+)$", re.MULTILINE)
_KUBERNETES_VERSION = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class Program:
    """One binary: the directory of its go.mod, its main package, and Go's build tags."""

    name: str
    module: str
    package: str
    tags: tuple[str, ...] = ()


_KUBERNETES = (
    "kube-apiserver",
    "kubectl",
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
)
_SERVER = ("vtprotobuf", "disable_pgv")
_AGENT = ("agent", "disable_pgv", "grpcnotrace", "retrynotrace")

# In the order in which they are built: what a test waits for first, and neighbours share packages.
# The tags are those of the projects' own release builds.
PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    *(Program(n, "kubernetes", f"k8s.io/kubernetes/cmd/{n}") for n in _KUBERNETES),
    Program("istiod", "istio", "istio.io/istio/pilot/cmd/pilot-discovery", _SERVER),
    Program("pilot-agent", "istio", "istio.io/istio/pilot/cmd/pilot-agent", _AGENT),
    Program("istioctl", "istio", "istio.io/istio/istioctl/cmd/istioctl", _SERVER),
    Program("coredns", "coredns", "hybrid.mesh/lab/tools/coredns"),
)
MODULES = tuple(dict.fromkeys(program.module for program in PROGRAMS))


def program(name: str) -> Program:
    """The program of that name; LabError if there is none."""
    for candidate in PROGRAMS:
        if candidate.name == name:
            return candidate
    known = ", ".join(candidate.name for candidate in PROGRAMS)
    raise LabError(f"{name}: no such tool; there are {known}")


def pinned(path: str, module: str, definition: Path = DEFINITION) -> str:
    """The version of the Go module `path` in the go.mod of `module`, such as v1.36.3."""
    file = definition / module / "go.mod"
    versions: Mapping[str, str] = dict(_REQUIRED.findall(file.read_text()))
    if path not in versions:
        raise LabError(f"{file}: requires no version of {path}")
    return versions[path]


def linker_flags(module: str, definition: Path = DEFINITION) -> str:
    """What Go's linker is told. Kubernetes says its version only when it is linked in."""
    stripped = "-s -w"
    if module != "kubernetes":
        return stripped
    version = pinned("k8s.io/kubernetes", module, definition)
    major, minor = version.removeprefix("v").split(".")[:2]
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join([stripped, *(f"-X {_KUBERNETES_VERSION}.{k}={v}" for k, v in values.items())])
