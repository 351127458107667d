#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Show what the mesh needs to know about a host before it touches it
version_added: 0.1.0
description:
  - Collects in one call what decides whether a host can join, and what has to work after its
    traffic is redirected as it did before.
  - It judges nothing and fails on nothing that it finds.
extends_documentation_fragment:
  - hybrid.mesh.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: It changes nothing.
  idempotent:
    support: full
  platform:
    platforms: linux
options:
  controller_time:
    description: The controller's clock when the task starts, in seconds since 1970.
    type: float
  interpreter:
    description: The Python that runs the mesh's programs on this host.
    type: path
    default: /usr/bin/python3
  ports:
    description: Ports whose holders are of interest.
    type: list
    elements: int
    default: []
  resolver:
    description:
      - Whether to ask the host's resolver for a name that does not exist.
      - It takes seconds where no nameserver answers.
    type: bool
    default: false
  control_plane:
    description: Address of a control plane, V(HOST:PORT), to try a TLS handshake with.
    type: str
  server_name:
    description: Name to ask O(control_plane) for (SNI).
    type: str
    default: istiod.istio-system.svc
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Look at the host
  hybrid.mesh.host_info:
    controller_time: "{{ now().timestamp() }}"
    ports: [15001, 15006]
  register: host
"""

RETURN = r"""
clock:
  description:
    - The host's time (UTC), the same in seconds since 1970, and by how many seconds it is ahead of
      the controller's.
  returned: always
  type: dict
  sample:
    time: "2026-05-01T12:00:00Z"
    epoch: 1777636800.0
    offset_seconds: 0.4
kernel:
  description: Release of the kernel.
  returned: always
  type: str
  sample: 6.1.0-18-amd64
architecture:
  description: Machine, as C(uname -m) names it.
  returned: always
  type: str
  sample: x86_64
glibc:
  description: Version of the GNU C library, empty where the host has another one.
  returned: always
  type: str
  sample: "2.36"
python:
  description: Version of O(interpreter), empty when it does not run.
  returned: always
  type: str
  sample: "3.11.2"
systemd:
  description: Whether systemd runs this host.
  returned: always
  type: bool
  sample: true
nft:
  description: Why nftables cannot be used, empty when it can.
  returned: always
  type: str
  sample: ""
addresses:
  description: Addresses of the host, loopback and link-local ones left out.
  returned: always
  type: list
  elements: str
  sample: [192.0.2.10, "2001:db8::10"]
default_routes:
  description: The default routes of both families, as the kernel writes them.
  returned: always
  type: list
  elements: str
  sample: [default via 192.0.2.1 dev eth0]
ports:
  description: Holders of the given ports.
  returned: always
  type: list
  elements: dict
  contains:
    protocol:
      description: V(tcp) or V(udp).
      type: str
    port:
      description: The port.
      type: int
    process:
      description: Name of the process.
      type: str
    pid:
      description: Its number.
      type: int
    unit:
      description: The systemd unit that it belongs to.
      type: str
resolver:
  description: Whether the host's resolver answers at all, be it that a name does not exist.
  returned: with O(resolver)
  type: bool
  sample: true
control_plane:
  description:
    - Why no TLS handshake with O(control_plane) came about, or that the certificate which it
      presented is not for O(server_name). Empty when all is well.
  returned: with O(control_plane)
  type: str
  sample: ""
control_plane_names:
  description: Names in the certificate that it presented, empty when it presented none.
  returned: with O(control_plane)
  type: list
  elements: str
  sample: [istiod.istio-system.svc]
"""

import os
import re
import secrets
import socket
import time
import typing as t
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap import certificates
from ansible_collections.hybrid.mesh.plugins.module_utils._listeners import (
    listeners,
    parse_socket_units,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._program import ProgramError, run

# A table that is only checked, never loaded: what the redirection needs of kernel and nft.
NFT_PROBE = """\
table inet hybrid_mesh_probe {
  chain output {
    type nat hook output priority -100; policy accept;
    meta l4proto tcp redirect to :15001
  }
}
"""


def glibc() -> str:
    """Version of the C library, empty when it is not GNU's."""
    try:
        found = re.fullmatch(r"glibc (\d+\.\d+).*", os.confstr("CS_GNU_LIBC_VERSION") or "")
    except (ValueError, OSError):
        return ""
    return found.group(1) if found else ""


def read(path: str) -> str:
    """Content of a file, empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def output(argv: list[str], data: str | None = None) -> str:
    """What a program prints, empty when it fails or does not exist."""
    try:
        answer = run(argv, data=data)
    except ProgramError:
        return ""
    return answer.output if answer.code == 0 else ""


def nft_problem(nft: str | None) -> str:
    """Why the redirection's table could not be loaded here, empty when it could."""
    if nft is None:
        return "there is no nft program"
    try:
        # Listing asks the kernel, checking asks the program and its libraries.
        for argv, data in (([nft, "list", "tables"], None), ([nft, "-c", "-f", "-"], NFT_PROBE)):
            answer = run(argv, data=data)
            if answer.code != 0:
                return f"{' '.join(argv)}: {answer.complaint}"
    except ProgramError as exc:
        return str(exc)
    return ""


def addresses(listing: str) -> list[str]:
    """Global addresses in the output of ``ip -o addr show scope global``, without duplicates."""
    found = [match.group(1) for match in re.finditer(r"\binet6? ([0-9a-fA-F.:]+)", listing)]
    return list(dict.fromkeys(found))


def search_domains(resolv_conf: str) -> list[str]:
    """Domains that this host appends to short names (resolv.conf(5), the last line counts)."""
    found = re.findall(r"(?m)^(?:search|domain)[ \t]+(.+)$", resolv_conf)
    return found[-1].split() if found else []


def resolver_answers(domains: t.Sequence[str]) -> bool:
    """Ask for a name that exists nowhere: that it does not is an answer, silence is none.

    Asked in the host's own ``domains`` first: there are resolvers that answer for nothing else.
    """
    name = f"hybrid-mesh-{secrets.token_hex(4)}"
    return any(_answered(f"{name}.{domain.rstrip('.')}.") for domain in (*domains, "invalid"))


def _answered(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None)
    except socket.gaierror as exc:
        return exc.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
    return True


def handshake(address: str, server_name: str) -> tuple[str, list[str]]:
    """Why a TLS handshake with ``address`` is not as expected, empty when it is; and who answers.

    Nobody is authenticated here: the question is whether bytes go there and come back, and whether
    the certificate that does has the name.
    """
    seen = certificates.presented(address, server_name, None)
    return seen["problem"], seen["server_names"]


def collect(module: AnsibleModule, params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Everything the module returns."""
    now = time.time()
    reference = params["controller_time"]
    python = [params["interpreter"], "-c", "import platform; print(platform.python_version())"]
    ip = module.get_bin_path("ip", opt_dirs=["/usr/sbin", "/sbin"]) or "ip"
    routes = [output([ip, family, "route", "show", "default"]) for family in ("-4", "-6")]
    held: list[dict[str, t.Any]] = []
    if params["ports"]:
        sockets = output(["systemctl", "list-sockets", "--no-legend", "--no-pager"])
        found = listeners(frozenset(params["ports"]), parse_socket_units(sockets))
        held = [dict(vars(listener)) for listener in found]
    result = {
        "clock": {
            "time": datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "epoch": round(now, 1),
            "offset_seconds": 0.0 if reference is None else round(now - reference, 1),
        },
        "kernel": os.uname().release,
        "architecture": os.uname().machine,
        "glibc": glibc(),
        "python": output(python),
        "systemd": os.path.isdir("/run/systemd/system"),
        "nft": nft_problem(module.get_bin_path("nft", opt_dirs=["/usr/sbin", "/sbin"])),
        "addresses": addresses(output([ip, "-o", "addr", "show", "scope", "global"])),
        "default_routes": [line.strip() for text in routes for line in text.splitlines()],
        "ports": held,
    }
    if params["resolver"]:
        result["resolver"] = resolver_answers(search_domains(read("/etc/resolv.conf")))
    if params["control_plane"]:
        result["control_plane"], result["control_plane_names"] = handshake(
            params["control_plane"], params["server_name"]
        )
    return result


def main() -> None:
    """Look, and return what was seen."""
    module = AnsibleModule(
        argument_spec={
            "controller_time": {"type": "float"},
            "interpreter": {"type": "path", "default": "/usr/bin/python3"},
            "ports": {"type": "list", "elements": "int", "default": []},
            "resolver": {"type": "bool", "default": False},
            "control_plane": {"type": "str"},
            "server_name": {"type": "str", "default": "istiod.istio-system.svc"},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **collect(module, module.params))


if __name__ == "__main__":
    main()
