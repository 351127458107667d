# SPDX-License-Identifier: Apache-2.0
"""What the subcommands do. Each imports what it needs when it runs: most need little."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_core import __version__
from mesh_core.errors import ConfigError, MeshError

if TYPE_CHECKING:
    from mesh_agent.redirect.apply import Redirector
    from mesh_agent.settings import AgentSettings, Paths
    from mesh_agent.status.settings import StatusSettings

NOT_RUNNING = 3
_DRIFT = 1


def run(options: argparse.Namespace) -> int:
    """Run the agent until it is stopped."""
    import gc

    from mesh_agent import ahead

    gc.disable()  # until all is loaded: nothing of it is garbage
    read, worker = ahead.begin(options.config, options.state)
    from mesh_agent.process import run as run_agent

    run_agent(options.config, _paths(options), options.log_level, read, worker)
    return 0


def check(options: argparse.Namespace) -> int:
    """Check one fragment, or all of them and the files that they name."""
    from mesh_agent.settings import check_files, check_fragment, load

    if options.fragment:
        check_fragment(options.fragment)
        return 0
    check_files(load(options.directory or options.config))
    return 0


def bootstrap(options: argparse.Namespace) -> int:
    """Write Envoy's bootstrap."""
    import json

    from mesh_agent.envoy.bootstrap import bootstrap as make
    from mesh_agent.redirect.facts import Host
    from mesh_agent.settings import load
    from mesh_core.files import write_atomic

    made = make(load(options.config), _paths(options), has_ipv6=Host().can_ipv6())
    text = json.dumps(made, indent=1) + "\n"
    try:
        write_atomic(options.output, text)
    except OSError as error:
        raise MeshError(f"{options.output}: cannot be written: {error.strerror}") from error
    return 0


def drain(options: argparse.Namespace) -> int:
    """Take no new connections and wait for the others, as long as the settings allow."""
    import asyncio

    from mesh_agent.envoy.admin import EnvoyAdmin
    from mesh_agent.settings import load
    from mesh_core.clock import SystemClock

    seconds = load(options.config).proxy.drain_seconds
    asyncio.run(EnvoyAdmin(_paths(options).admin_socket).drain(seconds, SystemClock()))
    return 0


def redirect_plan(options: argparse.Namespace) -> int:
    """Show what would be applied."""
    sys.stdout.write(_redirector(options).plan_text())
    return 0


def redirect_apply(options: argparse.Namespace) -> int:
    """Apply the table."""
    changed = _redirector(options).apply(confirm_within=options.confirm_within)
    _say("applied" if changed else "unchanged")
    return 0


def redirect_remove(options: argparse.Namespace) -> int:
    """Remove the table, also when the configuration cannot be read."""
    from mesh_agent.redirect.apply import Redirector
    from mesh_agent.redirect.settings import RedirectSettings

    removed = Redirector(RedirectSettings(), ()).remove()
    _say("removed" if removed else "nothing was applied")
    return 0


def redirect_check(options: argparse.Namespace) -> int:
    """Tell of drift, exit code 1 if there is any that was not put right."""
    redirector = _redirector(options)
    drift = redirector.repair() if options.repair else redirector.check()
    for reason in drift.reasons:
        _say(f"{'repaired' if options.repair else 'drift'}: {reason}")
    return _DRIFT if drift.reasons and not options.repair else 0


def redirect_confirm(options: argparse.Namespace) -> int:
    """Keep what was applied."""
    _say("confirmed" if _redirector(options).confirm() else "nothing was waiting")
    return 0


def status(options: argparse.Namespace) -> int:
    """Show what the running agent says of itself."""
    import asyncio
    import json

    from mesh_agent.status.table import render
    from mesh_core.http import get

    endpoint = _status_settings(options.config).local
    try:
        answer = asyncio.run(get("/status", host=endpoint.host, port=endpoint.port))
    except OSError:
        sys.stderr.write(f"mesh-agent: the agent does not run: nothing answers on {endpoint}\n")
        return NOT_RUNNING
    if answer.status != 200:
        raise MeshError(f"{endpoint} answered {answer.status}: is it the agent?")
    text = answer.body.decode()
    sys.stdout.write(text if options.json else render(json.loads(text)))
    return 0


def version(options: argparse.Namespace) -> int:
    """Show the version."""
    _say(__version__)
    return 0


def _redirector(options: argparse.Namespace) -> Redirector:
    from mesh_agent.redirect.apply import Redirector
    from mesh_agent.redirect.deadman import DeadMan
    from mesh_agent.settings import load

    settings = load(options.config)
    return Redirector(settings.capture, settings.workload.addresses, deadman=DeadMan())


def _status_settings(directory: Path) -> StatusSettings:
    """Return where status is served; the defaults for those who may not read the settings."""
    from mesh_agent.settings import load
    from mesh_agent.status.settings import StatusSettings

    with contextlib.suppress(ConfigError):
        settings: AgentSettings = load(directory)
        return settings.status
    return StatusSettings()


def _paths(options: argparse.Namespace) -> Paths:
    from mesh_agent.settings import Paths

    return Paths(options.state, options.run_directory)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
