# SPDX-License-Identifier: Apache-2.0
"""The programs that change the host, and what is made of their errors."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mesh_agent.redirect.ports import ENVOY_SOURCE_IPV6
from mesh_agent.redirect.render import FAMILY, TABLE
from mesh_core.errors import MeshError

Run = Callable[[Sequence[str], str], "Outcome"]
"""(command, standard input) -> outcome; MeshError when the program is not there."""

_SECONDS: Final = 30
_SOURCE: Final = f"{ENVOY_SOURCE_IPV6}/128"
_PACKAGES: Final = {
    "nft": "nftables",
    "ip": "iproute2",
    "systemctl": "systemd",
    "systemd-run": "systemd",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended."""

    code: int
    output: str
    errors: str


def run(command: Sequence[str], text: str = "") -> Outcome:
    """Run ``command`` with ``text`` as its input, and wait for its end."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, arguments as a list
            command, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError:
        package = _PACKAGES.get(command[0], command[0])
        raise MeshError(f"{command[0]}: not found on this host; install {package}") from None
    except subprocess.TimeoutExpired:
        raise MeshError(f"{command[0]}: no end within {_SECONDS} s") from None
    return Outcome(done.returncode, done.stdout, done.stderr)


class Nftables:
    """nft, and the one address that redirection of IPv6 needs."""

    def __init__(self, run: Run = run) -> None:
        """``run`` runs a program."""
        self._run = run

    def check(self, text: str) -> None:
        """Have ``text`` checked and nothing changed; MeshError with what nft says."""
        self._expect(["nft", "--check", "--file", "-"], text, "refuses the table")

    def load(self, text: str) -> None:
        """Have ``text`` take effect, all of it or nothing."""
        self._expect(["nft", "--file", "-"], text, "could not load the table")

    def table(self) -> list[str] | None:
        """Return what our table holds, one line of JSON per chain and rule; None without table.

        What changes by itself (handles, counters) is left out.
        """
        outcome = self._run(["nft", "--json", "list", "table", FAMILY, TABLE], "")
        if outcome.code:
            if "No such file or directory" in outcome.errors:
                return None
            raise MeshError(f"nft could not list the table: {_first_line(outcome.errors)}")
        try:
            items = json.loads(outcome.output)["nftables"]
        except (ValueError, KeyError, TypeError) as error:
            raise MeshError(f"nft listed the table in an unknown form: {error}") from error
        return [
            json.dumps(_constant(item), sort_keys=True)
            for item in items
            if "metainfo" not in item and "table" not in item
        ]

    def has_source_address(self) -> bool:
        """Return whether loopback has the IPv6 address that Envoy's connections come from."""
        command = ["ip", "-6", "-oneline", "address", "show", "dev", "lo", "to", _SOURCE]
        return bool(self._run(command, "").output.strip())

    def add_source_address(self) -> None:
        """Give it to loopback; no error when it is there."""
        command = ["ip", "-6", "address", "replace", _SOURCE, "dev", "lo"]
        self._expect(
            command,
            "",
            f"could not add {ENVOY_SOURCE_IPV6} to lo: enable IPv6 there "
            "(net.ipv6.conf.lo.disable_ipv6), or set redirect.ipv6 to false",
        )

    def remove_source_address(self) -> None:
        """Take it away, if it is there."""
        if self.has_source_address():
            self._run(["ip", "-6", "address", "del", _SOURCE, "dev", "lo"], "")

    def _expect(self, command: Sequence[str], text: str, problem: str) -> None:
        outcome = self._run(command, text)
        if outcome.code:
            raise MeshError(f"{command[0]} {problem}: {outcome.errors.strip()}")


def _constant(item: Any) -> Any:
    if isinstance(item, dict):
        return {
            key: None if key == "counter" else _constant(value)
            for key, value in item.items()
            if key != "handle"
        }
    return [_constant(value) for value in item] if isinstance(item, list) else item


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]
