# SPDX-License-Identifier: Apache-2.0
"""The verbs of redirection. They run as root with CAP_NET_ADMIN, one at a time, and are short."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import fcntl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mesh_agent.redirect.deadman import DeadMan
from mesh_agent.redirect.facts import Host
from mesh_agent.redirect.nft import Nftables
from mesh_agent.redirect.plan import Plan, make_plan
from mesh_agent.redirect.record import Record, RecordFile
from mesh_agent.redirect.render import REMOVAL, describe, fingerprint, render
from mesh_agent.redirect.settings import RedirectSettings
from mesh_core.errors import MeshError

_LOCK: Final = "redirect.lock"
_NOTHING: Final = "nothing is redirected\n"


@dataclass(frozen=True, slots=True)
class Drift:
    """``wanted``: redirection was applied and not taken away since. ``applied``: the table is
    there. ``reasons``: what is not as it should be, nothing when all is well."""

    wanted: bool
    applied: bool
    reasons: tuple[str, ...] = ()


class Redirector:
    """Redirection of this host. Every verb raises MeshError when it cannot do its work."""

    def __init__(
        self,
        settings: RedirectSettings,
        addresses: Sequence[str],
        *,
        host: Host | None = None,
        nftables: Nftables | None = None,
        record: RecordFile | None = None,
        deadman: DeadMan | None = None,
    ) -> None:
        """``addresses`` are the workload's; the others are this host's own unless given."""
        self._settings = settings
        self._addresses = tuple(addresses)
        self._host = host or Host()
        self._nftables = nftables or Nftables()
        self._record = record or RecordFile()
        self._deadman = deadman or DeadMan()

    def plan_text(self) -> str:
        """Return what would be applied: in words, as comments, and the text for nft."""
        plan = self._plan()
        if plan is None:
            return _NOTHING
        return "".join(f"# {line}\n" for line in describe(plan)) + render(plan)

    def apply(self, *, confirm_within: int | None = None) -> bool:
        """Bring the table into force; return whether anything was changed.

        With ``confirm_within`` (seconds) it is taken away again unless ``confirm`` comes in time.
        What is in force already is left alone, and then there is nothing to confirm.
        """
        with self._alone():
            plan = self._plan()
            if plan is None:
                return self._remove()
            if self._record.read() is not None and not self._drift(plan).reasons:
                return False
            self._load(plan, confirm_within)
            return True

    def remove(self) -> bool:
        """Take the table away, whatever plan it is of; return whether there was one."""
        with self._alone():
            return self._remove()

    def check(self) -> Drift:
        """Compare what is with what was applied and what should be; note it for the status."""
        with self._alone():
            drift = self._drift(self._plan())
            self._note(drift)
            return drift

    def repair(self) -> Drift:
        """Check, and put right what is wrong; return what was found.

        What was taken away on purpose stays away.
        """
        with self._alone():
            plan = self._plan()
            drift = self._drift(plan)
            if drift.reasons and plan is None:
                self._remove()
            elif drift.reasons and plan is not None:
                self._load(plan, None)
            else:
                self._note(drift)
            return drift

    def confirm(self) -> bool:
        """Keep what was applied; return whether a timer was running.

        Raises MeshError when it is too late.
        """
        with self._alone():
            stopped = self._deadman.disarm()
            if self._record.read() is None:
                raise MeshError(
                    "nothing to confirm: redirection is not applied on this host (it is removed "
                    "when it is not confirmed in time)"
                )
            return stopped

    def _plan(self) -> Plan | None:
        return make_plan(self._settings, self._host.facts(self._settings, self._addresses))

    def _load(self, plan: Plan, confirm_within: int | None) -> None:
        text = render(plan)
        self._nftables.check(text)
        if confirm_within is not None:
            self._deadman.arm(confirm_within)
        try:
            if plan.ipv6:
                self._nftables.add_source_address()
            self._nftables.load(text)
        except MeshError:
            if confirm_within is not None:
                self._deadman.disarm()
            raise
        self._record.write(
            Record(
                plan=fingerprint(plan),
                rules=tuple(self._nftables.table() or ()),
                applied_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
        )

    def _remove(self) -> bool:
        there = self._nftables.table() is not None
        if there:
            self._nftables.load(REMOVAL)
        self._nftables.remove_source_address()
        self._record.remove()
        return there

    def _drift(self, plan: Plan | None) -> Drift:
        record, rules = self._record.read(), self._nftables.table()
        wanted, applied = record is not None, rules is not None
        reasons: list[str] = []
        if record is None:
            if applied:
                reasons.append("the table is there, but it is not known what was applied")
        elif plan is None:
            reasons.append("the table is there, but nothing is to be redirected any more")
        elif rules is None:
            reasons.append("the table is gone")
        else:
            reasons += _differences(record.rules, rules)
            if record.plan != fingerprint(plan):
                reasons.append(
                    "the configuration, the users, the nameservers or the interfaces "
                    "of this host have changed since it was applied"
                )
            if plan.ipv6 and not self._nftables.has_source_address():
                reasons.append("the address ::6 is missing on lo")
        return Drift(wanted, applied, tuple(reasons))

    def _note(self, drift: Drift) -> None:
        record = self._record.read()
        if record is not None and record.drift != drift.reasons:
            self._record.write(dataclasses.replace(record, drift=drift.reasons))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Have timer, path unit and operator wait for one another."""
        self._record.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self._record.directory / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _differences(applied: Sequence[str], found: Sequence[str]) -> list[str]:
    missing = collections.Counter(applied) - collections.Counter(found)
    added = collections.Counter(found) - collections.Counter(applied)
    if missing or added:
        return [f"the table was changed: {missing.total()} parts missing, {added.total()} added"]
    return [] if list(applied) == list(found) else ["the table was changed: another order of rules"]
