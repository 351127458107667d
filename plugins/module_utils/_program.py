# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Run one of the mesh's programs and read the JSON that it prints."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import typing as t
from dataclasses import dataclass


class ProgramError(Exception):
    """A program is absent, failed, or answered something else than JSON; its text is for users."""


@dataclass(frozen=True)
class Answer:
    """What a program left behind: its exit code and both outputs, stripped."""

    code: int
    output: str
    error: str

    @property
    def complaint(self) -> str:
        """What it said of a failure, on either output."""
        return "\n".join(filter(None, (self.output, self.error))) or "no message"


def run(argv: t.Sequence[str], data: str | None = None, user: str | None = None) -> Answer:
    """Run ``argv`` without a shell and with ``data`` on standard input, as ``user`` when given.

    Secrets travel by ``data`` and the outputs only: an argument list is visible to every user of
    the host. Raises ProgramError when the program or the user does not exist.
    """
    identity: dict[str, t.Any] = {}
    if user is not None:
        try:
            entry = pwd.getpwnam(user)
        except KeyError as exc:
            raise ProgramError(f"user {user} does not exist on this host") from exc
        if entry.pw_uid != os.geteuid():
            groups = os.getgrouplist(user, entry.pw_gid)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the caller's argument list
            list(argv), input=data, text=True, capture_output=True, check=False, cwd="/", **identity
        )
    except OSError as exc:
        raise ProgramError(f"{argv[0]} cannot be run: {exc.strerror or exc}") from exc
    return Answer(done.returncode, done.stdout.strip(), done.stderr.strip())


def parse_json(argv: t.Sequence[str], answer: Answer) -> t.Any:
    """The document that the program printed. Raises ProgramError naming the program otherwise."""
    try:
        return json.loads(answer.output)
    except ValueError as exc:
        command = " ".join(argv)
        raise ProgramError(f"{command}: expected JSON on its standard output: {exc}") from exc
