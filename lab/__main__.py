# SPDX-License-Identifier: Apache-2.0
"""The command line: `python -m lab VERB`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lab import image, inventory, life, spec
from lab.errors import LabError
from lab.podman import DEFAULT_LAB, environment, object_name
from lab.state import ROOT, State, locked
from lab.tools import tool
from lab.tools.ensure import ensure


def parser() -> argparse.ArgumentParser:
    """The verbs and their arguments."""
    root = argparse.ArgumentParser(prog="python -m lab", description="Hosts to try the mesh on.")
    root.add_argument("--lab", default=DEFAULT_LAB, metavar="NAME", help="which lab (%(default)s)")
    verbs = root.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("tools", help="build the programs of Kubernetes and Istio, as far as missing")
    verbs.add_parser("image", help="build the hosts' image unless it is there")
    begin = verbs.add_parser("up", help="start the lab that an inventory describes")
    begin.add_argument("-i", "--inventory", type=Path, required=True)
    begin.add_argument("--fresh", action="store_true", help="replace a complete lab as well")
    verbs.add_parser("down", help="remove the lab and everything that was set for it")
    verbs.add_parser("status", help="list the hosts")
    entrances = {"ssh": "log in to a host, or run a command there", "exec": "the same without ssh"}
    for verb, text in entrances.items():
        enter = verbs.add_parser(verb, help=text)
        enter.add_argument("host")
        enter.add_argument("command", nargs=argparse.REMAINDER)
    cluster = verbs.add_parser("kubectl", help="ask the lab's cluster, as its administrator")
    cluster.add_argument("command", nargs=argparse.REMAINDER)
    return root


def main(arguments: list[str] | None = None) -> int:
    """Runs one verb; gives the exit status."""
    options = parser().parse_args(arguments)
    try:
        if options.verb != "tools" and os.geteuid() != 0:
            raise LabError("hosts with networks of their own need root: run it through sudo")
        _run(options)
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    match options.verb:
        case "tools":
            ensure()
        case "image":
            image.ensure(ROOT / ".cache")
        case "up":
            # With what .venv holds, which the other verbs can do without.
            from lab import start

            wanted = spec.from_inventory(options.lab, inventory.read(options.inventory))
            with locked():
                start.up(wanted, fresh=options.fresh)
        case "down":
            with locked():
                life.down(options.lab)
        case "status":
            for host, state, workload, addresses in life.status(options.lab):
                sys.stdout.write(f"{host:12} {state:8} {workload:5} {addresses}\n")
        case "ssh":
            _ssh(options.lab, options.host, options.command)
        case "kubectl":
            _kubectl(options.lab, options.command)
        case _:
            _exec(options.lab, options.host, options.command)


def _ssh(lab: str, host: str, command: list[str]) -> None:
    key, known_hosts = life.known_files(lab)
    target = f"root@{life.address(lab, host)}"
    settings = [f"UserKnownHostsFile={known_hosts}", "IdentitiesOnly=yes", "LogLevel=ERROR"]
    flags = [part for setting in settings for part in ("-o", setting)]
    # The program is the answer: it keeps the terminal, and its status becomes ours.
    os.execvp("ssh", ["ssh", "-i", str(key), *flags, target, *command])


def _kubectl(lab: str, command: list[str]) -> None:
    kubeconfig = State.of(lab).administrator
    if not kubeconfig.exists():
        raise LabError(f"lab {lab} has no cluster: no host of its inventory has lab_cluster")
    os.execv(tool("kubectl"), ["kubectl", f"--kubeconfig={kubeconfig}", *command])


def _exec(lab: str, host: str, command: list[str]) -> None:
    life.address(lab, host)
    terminal = ["--interactive", "--tty"] if sys.stdin.isatty() else ["--interactive"]
    arguments = ["podman", "exec", *terminal, object_name(lab, host), *(command or ["bash"])]
    os.execvpe("podman", arguments, environment())


if __name__ == "__main__":
    sys.exit(main())
