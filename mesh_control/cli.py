# SPDX-License-Identifier: Apache-2.0
"""The command ``mesh-control``. What a command does not need is not imported for it."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from mesh_control.settings import DEFAULT_PATH, Address, Settings, load
from mesh_core import __version__
from mesh_core.config import parse
from mesh_core.errors import ConfigError, MeshError

_NOT_RUNNING = 3


@dataclass(frozen=True, slots=True)
class _TokenRequest:
    """An item of the list that ``token create`` reads."""

    namespace: str
    service_account: str
    lifetime_seconds: int | None = None

    def __post_init__(self) -> None:
        if self.lifetime_seconds is not None and self.lifetime_seconds <= 0:
            raise ValueError(
                f"lifetime_seconds: expected more than 0, found {self.lifetime_seconds}"
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 1 for a failure (one line on stderr)."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except MeshError as error:
        print(f"mesh-control: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=argparse.SUPPRESS,
        help=f"configuration (default: {DEFAULT_PATH})",
    )
    parser = argparse.ArgumentParser(
        "mesh-control", description="The embedded control plane of a mesh.", parents=[common]
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[common])

    command("run", "Serve until SIGTERM; SIGHUP reads the objects again.").set_defaults(
        command=_run
    )
    config = command("config", "Look at configuration.").add_subparsers(
        required=True, metavar="COMMAND"
    )
    text = "Check a directory of objects, or control.yaml and its objects."
    check = config.add_parser("check", help=text, description=text, parents=[common])
    check.add_argument("directory", metavar="DIR", type=Path, nargs="?")
    check.set_defaults(command=_check)
    token = command("token", "Join tokens.").add_subparsers(required=True, metavar="COMMAND")
    text = (
        "Read [{namespace, service_account, lifetime_seconds?}] (JSON) from standard input, "
        "write [{namespace, service_account, token, expires}] to standard output."
    )
    create = token.add_parser("create", help=text, description=text, parents=[common])
    create.set_defaults(command=_create_tokens)
    command("root", "Print the root certificate (PEM).").set_defaults(command=_root)
    show = command("status", "Show the running control plane.")
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(command=_status)
    command("version", "Print the version.").set_defaults(command=_version)
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    return load(getattr(options, "config", DEFAULT_PATH))


def _run(options: argparse.Namespace) -> int:
    from mesh_control.process import serve
    from mesh_core.systemd import setup_logging

    settings = _settings(options)
    setup_logging()
    # It tells of each stream that a client ends.
    logging.getLogger("grpclib").setLevel(logging.WARNING)
    asyncio.run(serve(settings))
    return 0


def _check(options: argparse.Namespace) -> int:
    """Print a line for each problem; 1 if one of them keeps its file from being applied."""
    from mesh_control.objects.problems import Severity
    from mesh_control.sources.files import check
    from mesh_control.translate import SUPPORTED, problems

    directory = options.directory or _settings(options).objects
    found = check(directory, SUPPORTED, problems)
    for problem in found:
        print(f"{problem.severity}: {problem}")
    return int(any(problem.severity is Severity.ERROR for problem in found))


def _create_tokens(options: argparse.Namespace) -> int:
    from mesh_control.ca.tokens import Tokens, read_key
    from mesh_core.clock import SystemClock

    settings = _settings(options)
    wanted = _token_requests(sys.stdin.read())
    tokens = Tokens(
        read_key(settings.state / "tokens/key.pem"),
        audience=settings.tokens.audience,
        trust_domain=settings.trust_domain,
        lifetime=settings.tokens.lifetime,
        clock=SystemClock(),
    )
    made = []
    for request in wanted:
        lifetime = request.lifetime_seconds
        token = tokens.issue(
            request.namespace,
            request.service_account,
            timedelta(seconds=lifetime) if lifetime else None,
        )
        made.append(
            {
                "namespace": request.namespace,
                "service_account": request.service_account,
                "token": token.text,
                "expires": f"{token.expires:%Y-%m-%dT%H:%M:%SZ}",
            }
        )
    print(json.dumps(made, indent=1))
    return 0


def _token_requests(text: str) -> list[_TokenRequest]:
    place = "standard input"
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ConfigError(place, f"expected JSON: {error}") from error
    if not isinstance(data, list):
        raise ConfigError(place, "expected a list of {namespace, service_account}")
    return [parse(_TokenRequest, item, f"{place}: [{i}]") for i, item in enumerate(data)]


def _root(options: argparse.Namespace) -> int:
    path = _settings(options).state / "ca/root-cert.pem"
    try:
        print(path.read_text(encoding="ascii"), end="")
    except FileNotFoundError as error:
        raise MeshError(
            f"{path}: is not there: the control plane makes it when it first starts"
        ) from error
    except OSError as error:
        raise MeshError(f"{path}: cannot be read: {error.strerror}") from error
    return 0


def _status(options: argparse.Namespace) -> int:
    from mesh_control.web.status import as_text
    from mesh_core.http import get

    address = Address.parse(_settings(options).listen.status)
    try:
        answer = asyncio.run(get("/status", host=address.host, port=address.port))
    except OSError as error:
        print(f"mesh-control: is not running at {address}: {error}", file=sys.stderr)
        return _NOT_RUNNING
    if answer.status != 200:
        raise MeshError(f"{address}: expected the status, found HTTP {answer.status}")
    text = answer.body.decode()
    print(text if options.json else as_text(json.loads(text)), end="")
    return 0


def _version(_unused: argparse.Namespace) -> int:
    print(__version__)
    return 0
