# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What workload_entry and workload_group do with their objects: the same, but for the kind."""

from __future__ import annotations

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import accounts, apply
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import module as shell
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api, Object, Objects
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.connection import connect
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError

_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "namespace": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "set": {"type": "str"},
    "prune": {"type": "bool", "default": False},
    "validate_service_accounts": {"type": "bool", "default": True},
    "force_conflicts": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 120},
    "progress_file": {"type": "path"},
}

_POLL_SECONDS = 1.0

# What is not yet as waited for, by object: empty when all is. Given all objects that are there now.
Pending = t.Callable[[t.Mapping[str, Object]], t.Dict[str, str]]


def registry_module(option: str, suboptions: dict[str, t.Any]) -> AnsibleModule:
    """A module whose objects are the list ``option``."""
    objects = {"type": "list", "elements": "dict", "required": True, "options": suboptions}
    return shell.cluster_module(
        {option: objects, **_ARGUMENTS}, required_if=[("prune", True, ["set"])]
    )


def run(
    module: AnsibleModule,
    kind: str,
    bodies: Objects,
    problems: t.Sequence[str],
    pending: t.Callable[[Api], Pending],
) -> None:
    """Bring the registry to the bodies, or remove them, and end the module.

    ``pending`` says what ``wait`` waits for; objects that are removed have to be gone.
    """
    if problems:
        module.fail_json(
            msg=f"{len(problems)} of the values are wrong, nothing was sent: "
            f"{'; '.join(problems[:10])}{'; ...' if len(problems) > 10 else ''}",
            problems=list(problems),
        )
    params = module.params
    try:
        api = connect(params)
        namespaces = {body["metadata"]["namespace"] for body in bodies}
        if params["prune"] and params["namespace"]:
            namespaces.add(params["namespace"])
        live = apply.registered(api, kind, namespaces)
        changes, refused = _plan(module, api, kind, bodies, live)
        outcomes = apply.execute(
            api,
            changes,
            dry_run=module.check_mode,
            force=params["force_conflicts"],
            progress=shell.progress_to(params["progress_file"], kind),
        )
    except ClusterError as exc:
        module.fail_json(msg=f"{kind}: {exc}")
    if module.check_mode:
        outcomes = [_foreseen(module, outcome) for outcome in outcomes]
    touched = {change.name for change in changes} | {entry["object"] for entry in refused}
    unchanged = sum(apply.key_of(body) not in touched for body in bodies)
    result = shell.summary(outcomes, unchanged)
    result["failures"] = refused + result["failures"]
    if params["wait"] and not module.check_mode:
        left = _gone(bodies) if params["state"] == "absent" else pending(api)
        result["failures"] += _wait(api, kind, namespaces, outcomes, left, params)
    shell.finish(module, result, outcomes)


def _plan(
    module: AnsibleModule, api: Api, kind: str, bodies: Objects, live: dict[str, Object]
) -> tuple[list[apply.Change], list[dict[str, t.Any]]]:
    """What to change, and the objects that are not even tried, as failures."""
    params = module.params
    if params["state"] == "absent":
        return apply.to_delete(kind, [apply.key_of(body) for body in bodies], live), []
    refused = _unknown_accounts(module, api, kind, bodies)
    names = {entry["object"] for entry in refused}
    changes = apply.to_apply(kind, [b for b in bodies if apply.key_of(b) not in names], live)
    if params["prune"]:
        changes += apply.to_prune(kind, bodies, live, params["set"])
    return changes, refused


def _unknown_accounts(
    module: AnsibleModule, api: Api, kind: str, bodies: Objects
) -> list[dict[str, t.Any]]:
    if not module.params["validate_service_accounts"]:
        return []
    try:
        found = accounts.missing(api, bodies)
    except ClusterError as exc:
        if exc.status != 403:
            raise
        module.warn(f"service accounts were not checked: {exc}")
        return []
    if module.check_mode:
        # A task before this one may be about to make them.
        for name, (_field, message) in found.items():
            module.warn(f"{kind} {name}: {message}")
        return []
    return [
        shell.failure(kind, name, message, [field], "ServiceAccountNotFound")
        for name, (field, message) in found.items()
    ]


def _foreseen(module: AnsibleModule, outcome: apply.Outcome) -> apply.Outcome:
    """In check mode, a namespace that is missing may be about to be made by an earlier task."""
    error = outcome.error
    if error is None or error.status != 404 or not error.message.startswith("namespaces "):
        return outcome
    module.warn(f"{outcome.change.name}: {error}")
    return apply.Outcome(outcome.change, after=outcome.change.body)


def _gone(bodies: Objects) -> Pending:
    keys = [apply.key_of(body) for body in bodies]
    return lambda live: {
        key: "expected to be gone, found still there" for key in keys if key in live
    }


def _wait(
    api: Api,
    kind: str,
    namespaces: t.Iterable[str],
    outcomes: t.Sequence[apply.Outcome],
    pending: Pending,
    params: t.Mapping[str, t.Any],
) -> list[dict[str, t.Any]]:
    """Poll until nothing is pending; what still is at the end, as failures."""
    failed = {outcome.change.name for outcome in outcomes if not outcome.done}
    deadline = time.monotonic() + params["wait_timeout"]
    while True:
        try:
            left = pending(apply.registered(api, kind, namespaces))
        except ClusterError as exc:
            return [shell.failure(kind, "", f"while waiting: {exc}", reason=exc.reason)]
        left = {name: text for name, text in left.items() if name not in failed}
        if not left or time.monotonic() >= deadline:
            return [
                shell.failure(kind, name, f"{text} after {params['wait_timeout']} s", (), "Timeout")
                for name, text in left.items()
            ]
        time.sleep(_POLL_SECONDS)
