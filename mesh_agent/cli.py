# SPDX-License-Identifier: Apache-2.0
"""The command ``mesh-agent``: its words and options."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from mesh_agent import commands
from mesh_core.errors import MeshError

_CONFIG = Path("/etc/mesh-agent/config.d")
_STATE = Path("/var/lib/mesh-agent")
_RUN = Path("/run")

# Without a width it asks for the terminal's, at each option, through a module that loads three
# libraries for compression.
_FORM = functools.partial(argparse.HelpFormatter, width=80)

Command = Callable[[argparse.Namespace], int]
Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 failed with one line on stderr, 2 wrong usage."""
    options = parser().parse_args(arguments)
    command: Command = options.command
    try:
        sys.exit(command(options))
    except MeshError as error:
        sys.exit(f"mesh-agent: {error}")


def parser() -> argparse.ArgumentParser:
    """Return the parser; what it returns has the command to call as ``command``."""
    text = "The node agent of hybrid.mesh."
    top = argparse.ArgumentParser(prog="mesh-agent", description=text, formatter_class=_FORM)
    verbs = top.add_subparsers(required=True, metavar="COMMAND")
    run = _verb(verbs, "run", commands.run, "run the agent")
    levels = ["DEBUG", "INFO", "WARNING", "ERROR"]
    run.add_argument("--log-level", default="INFO", choices=levels)
    _config(_group(verbs, "config", "work with the configuration"))
    _proxy(_group(verbs, "proxy", "work with Envoy"))
    _redirect(_group(verbs, "redirect", "redirect this host's connections to Envoy"))
    status = _verb(verbs, "status", commands.status, "show what the running agent says of itself")
    status.add_argument("--json", action="store_true", help="as JSON")
    _verb(verbs, "version", commands.version, "show the version")
    return top


def _config(verbs: Verbs) -> None:
    check = _verb(verbs, "check", commands.check, "check configuration before it is used")
    check.add_argument("--fragment", type=Path, metavar="FILE", help="one file on its own")
    check.add_argument(
        "directory", type=Path, nargs="?", metavar="DIR", help="fragments (default: --config)"
    )


def _proxy(verbs: Verbs) -> None:
    text = "write the configuration that Envoy starts with"
    bootstrap = _verb(verbs, "bootstrap", commands.bootstrap, text)
    bootstrap.add_argument("--output", type=Path, required=True, metavar="FILE")
    _verb(verbs, "drain", commands.drain, "let Envoy finish its connections before it is stopped")


def _redirect(verbs: Verbs) -> None:
    _verb(verbs, "plan", commands.redirect_plan, "show what would be applied")
    apply = _verb(verbs, "apply", commands.redirect_apply, "apply the table")
    text = "remove it again unless it is confirmed in this time"
    apply.add_argument("--confirm-within", type=int, metavar="SECONDS", help=text)
    _verb(verbs, "remove", commands.redirect_remove, "remove the table")
    check = _verb(verbs, "check", commands.redirect_check, "compare what is with what should be")
    check.add_argument("--repair", action="store_true", help="and put it right")
    _verb(verbs, "confirm", commands.redirect_confirm, "keep what was applied")


def _group(verbs: Verbs, name: str, text: str) -> Verbs:
    group = verbs.add_parser(name, help=text, description=text, formatter_class=_FORM)
    return group.add_subparsers(required=True, metavar="COMMAND")


def _verb(verbs: Verbs, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=text, description=text, formatter_class=_FORM)
    verb.set_defaults(command=command)
    for option, default, about in (
        ("--config", _CONFIG, "fragments of the configuration"),
        ("--state", _STATE, "what the agent keeps"),
        ("--run", _RUN, "parent of the directories with sockets"),
    ):
        verb.add_argument(
            option,
            type=Path,
            default=default,
            metavar="DIR",
            dest="run_directory" if option == "--run" else None,
            help=f"{about} (default: %(default)s)",
        )
    return verb
