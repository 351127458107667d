# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What the cluster's modules share as modules: their arguments, and how they end."""

from __future__ import annotations

import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import fields
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.apply import Outcome, Progress
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.connection import ARGUMENTS

# Reasons that a message spells out; the result holds all failures.
_SPELLED_OUT = 10
# Reasons that pass by themselves, as the API server and ClusterError name them.
_PASSING = {
    "Unreachable",
    "InternalError",
    "ServerTimeout",
    "ServiceUnavailable",
    "Timeout",
    "TooManyRequests",
}
# Fields of a kubeconfig's user, and of its authentication provider, that are secret.
_SECRETS = (
    "token",
    "password",
    "client-key-data",
    "id-token",
    "access-token",
    "refresh-token",
    "client-secret",
)
# Seconds between two lines of progress.
_BEAT = 2.0


def cluster_module(argument_spec: t.Mapping[str, t.Any], **options: t.Any) -> AnsibleModule:
    """A module with the connection's arguments; the secrets of its kubeconfig stay out of logs."""
    return _Module(
        argument_spec={**ARGUMENTS, **argument_spec}, supports_check_mode=True, **options
    )


class _Module(AnsibleModule):
    """Knows what is secret in a kubeconfig before its options are checked, and logged.

    With ``no_log`` for the whole option, messages could not name the file.
    """

    def _load_params(self) -> None:
        super()._load_params()
        kubeconfig = self.params.get("kubeconfig")
        if isinstance(kubeconfig, dict):
            self.no_log_values.update(_secrets(kubeconfig))


def _secrets(kubeconfig: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for entry in kubeconfig.get("users") or []:
        user = entry.get("user") if isinstance(entry, dict) else None
        if not isinstance(user, dict):
            continue
        for holder in (user, (user.get("auth-provider") or {}).get("config") or {}):
            yield from (str(holder[key]) for key in _SECRETS if holder.get(key))
        for variable in (user.get("exec") or {}).get("env") or []:
            if variable.get("value"):
                yield str(variable["value"])


def progress_to(path: str | None, what: str, beat: float = _BEAT) -> Progress | None:
    """Writes a line to the file every ``beat`` seconds: ``WHAT: 320 of 1000, 1 failed``."""
    if not path:
        return None
    last = time.monotonic()

    def tell(done: int, of: int, failed: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < beat:
            return
        last = now
        # Opened each time without creating it: whoever reads it may have removed it.
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "w") as stream:
                stream.write(f"{what}: {done} of {of}{f', {failed} failed' if failed else ''}\n")
        except OSError:
            return

    return tell


def summary(outcomes: t.Sequence[Outcome], unchanged: int, kinds: bool = False) -> dict[str, t.Any]:
    """The part of the result that says what was done, by object; ``kinds`` for sets of several."""

    def title(outcome: Outcome) -> str:
        change = outcome.change
        return f"{change.kind} {change.name}" if kinds else change.name

    found: dict[str, t.Any] = {"created": [], "updated": [], "deleted": [], "unchanged": unchanged}
    for outcome in outcomes:
        if outcome.done:
            found[outcome.change.action].append(title(outcome))
    found["changed"] = any(outcome.done for outcome in outcomes)
    found["not_tried"] = [title(o) for o in outcomes if not o.tried]
    found["failures"] = [
        failure(o.change.kind, o.change.name, str(o.error), o.error.fields, o.error.reason)
        for o in outcomes
        if o.error is not None
    ]
    return found


def failure(
    kind: str, name: str, message: str, where: t.Sequence[str] = (), reason: str = ""
) -> dict[str, t.Any]:
    """One entry of the result's ``failures``."""
    return {
        "kind": kind,
        "object": name,
        "fields": list(where),
        "reason": reason,
        "message": message,
    }


def differences(outcomes: t.Sequence[Outcome]) -> list[dict[str, t.Any]]:
    """The changes that were made as Ansible shows them, one entry for each object."""
    found = []
    for outcome in outcomes:
        if outcome.done:
            change = outcome.change
            header = f"{change.kind} {change.name}"
            found.append(
                {
                    "before_header": header if change.before else f"{header} (absent)",
                    "after_header": header if change.body else f"{header} (absent)",
                    "before": fields.shown(change.before),
                    "after": fields.shown(outcome.after),
                }
            )
    return found


def finish(module: AnsibleModule, result: dict[str, t.Any], outcomes: t.Sequence[Outcome]) -> None:
    """End the module: with a failure when anything failed, and what was done in either case."""
    if module._diff:
        result["diff"] = differences(outcomes)
    if not result["failures"]:
        module.exit_json(**result)
    module.fail_json(msg=_message(result, module.check_mode), **result)


def _message(result: t.Mapping[str, t.Any], check_mode: bool) -> str:
    failures, waiting = result["failures"], result["not_tried"]
    done = sum(len(result.get(key) or ()) for key in ("created", "updated", "deleted", "removed"))
    alike: dict[tuple[str, str], list[str]] = {}
    for one in failures:
        alike.setdefault((one["kind"], one["message"]), []).append(one["object"])
    lines = [
        f"{kind} {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {message}"
        for (kind, message), names in list(alike.items())[:_SPELLED_OUT]
    ]
    others = sum(len(names) for names in list(alike.values())[_SPELLED_OUT:])
    if others:
        lines.append(f"and {others} more for other reasons, all of them in failures")
    would = "would be " if check_mode else ""
    counts = [f"{len(failures)} failed", f"{done} {would}changed"]
    if "unchanged" in result:
        counts.append(f"{result['unchanged']} as wanted")
    if waiting:
        counts.append(f"{len(waiting)} not tried")
    found = f"{', '.join(counts)}: {'; '.join(lines)}."
    reasons = {one["reason"] for one in failures}
    if reasons == {"Timeout"} and not waiting:  # all is done, but not seen to work
        return found
    if reasons <= _PASSING:
        return f"{found} Another run does what is left."
    return f"{found} Correct that; then a run does the rest."
