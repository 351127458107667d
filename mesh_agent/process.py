# SPDX-License-Identifier: Apache-2.0
"""The agent as a process: configuration, logging, sockets, and starting over on SIGHUP."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from mesh_agent import sockets
from mesh_agent.app import Outcome, serve
from mesh_agent.settings import AgentSettings, Paths, check_files
from mesh_core import config_reader, systemd
from mesh_core.apart import Apart
from mesh_core.config import Fragments


def run(
    config: Path,
    paths: Paths,
    log_level: str,
    read: Callable[[], Fragments],
    key_worker: Apart | None,
) -> None:
    """Run until it is stopped; MeshError when it cannot start.

    ``read`` and ``key_worker`` are from `mesh_agent.ahead.begin`.
    """
    systemd.setup_logging(log_level)
    logging.getLogger("grpclib").setLevel(logging.WARNING)  # tells each end of a stream otherwise
    settings = _settings(read)
    inherited = systemd.listen_sockets()
    own = (
        sockets.sort(inherited, paths, dns=settings.dns.enabled)
        if inherited
        else sockets.bind(paths, dns=settings.dns.enabled)
    )
    reread = functools.partial(_reread, config)
    outcome = asyncio.run(serve(settings, paths, own, key_worker, reread))
    if outcome is Outcome.RELOAD:
        if key_worker:  # the new image would not know its child, and never bury it
            key_worker.end()
        _start_over([sock.fileno() for sock in inherited])


def _reread(config: Path) -> AgentSettings:
    return _settings(config_reader.begin(config))


def _settings(read: Callable[[], Fragments]) -> AgentSettings:
    settings = read().parse(AgentSettings)
    check_files(settings)
    return settings


def _start_over(inherited: list[int]) -> None:
    """Become a new process image in the same process, with the sockets that systemd holds for it.

    So no part needs to know how to change its settings while it runs; queries and Envoy wait in
    the sockets for the moment that it takes.
    """
    for descriptor in inherited:
        os.set_inheritable(descriptor, True)
    # Until the new image listens to it, another one must not end us.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - ourselves, as we were started
