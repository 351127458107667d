# SPDX-License-Identifier: Apache-2.0
"""What users get wrong, or their cluster does, as they see it: what is said, left, and made whole.

Values that are wrong in themselves are in the tests of each module, access that does not work in
test_access.py, and what preflight finds in test_preflight.py.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer

from .conftest import RunModule
from .test_cluster_config import options, route, service, text
from .test_workload_entry import allow, entry, stored

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]


class Way:
    """A way to a server that ends for good after so many bytes from its clients."""

    def __init__(self, port: int, limit: int) -> None:
        self._port, self._left = port, limit
        self._lock = threading.Lock()
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self._threads = [threading.Thread(target=self._accept)]
        self.port = int(self._sockets[0].getsockname()[1])

    def __enter__(self) -> Way:
        self._threads[0].start()
        return self

    def __exit__(self, *_reason: object) -> None:
        self._end()
        for thread in self._threads:
            thread.join(10)
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._sockets[0].accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._sockets += [client, server]
                for source, target in ((client, server), (server, client)):
                    thread = threading.Thread(target=self._pass, args=(source, target))
                    self._threads.append(thread)
                    thread.start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        to_server = target.getpeername()[1] == self._port
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    self._left -= len(data) if to_server else 0
                if self._left < 0:
                    self._end()
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _end(self) -> None:
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def test_an_api_server_that_goes_away_among_a_thousand(
    api_server: ApiServer, run_module: RunModule
) -> None:
    api_server.namespace("bad-away", "app")
    given: dict[str, Any] = {"namespace": "bad-away", "entries": [entry(n) for n in range(1000)]}
    with Way(api_server.port, 200_000) as way:
        config = yaml.safe_load(api_server.kubeconfig.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{way.port}"
        result = run_module("workload_entry", {**given, "kubeconfig": config})
    assert result["failed"]
    assert f"https://127.0.0.1:{way.port}: the API server does not answer" in result["msg"]
    made, failed, left = (
        set(result["created"]),
        {one["object"] for one in result["failures"]},
        set(result["not_tried"]),
    )
    assert len(made) > 10
    assert len(failed) <= 16
    assert len(made) + len(failed) + len(left) == len(made | failed | left) == 1000
    # What was on its way may have arrived: its answer did not.
    there = {f"bad-away/{name}" for name in stored(api_server, "bad-away")}
    assert made <= there <= made | failed

    second = run_module("workload_entry", given)
    assert "failed" not in second
    assert set(second["created"]) == (failed | left) - there
    assert second["unchanged"] == len(there)
    assert len(stored(api_server, "bad-away")) == 1000


def test_what_one_namespace_forbids_does_not_keep_the_other_back(
    api_server: ApiServer, run_module: RunModule
) -> None:
    def may(*verbs: str) -> dict[str, Any]:
        group = ["networking.istio.io"]
        return {"apiGroups": group, "resources": ["workloadentries"], "verbs": list(verbs)}

    accounts = {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["list"]}
    for namespace, verbs in (("bad-may", ["list", "patch", "create"]), ("bad-not", ["list"])):
        api_server.namespace(namespace, "app")
        allow(api_server, namespace, "bad-half", may(*verbs), accounts)
    given: dict[str, Any] = {
        "kubeconfig": str(api_server.kubeconfig_for("bad-half")),
        "entries": [
            entry(n, namespace=namespace) for n in range(40) for namespace in ("bad-may", "bad-not")
        ],
    }
    result = run_module("workload_entry", given)
    assert len(result["created"]) == len(stored(api_server, "bad-may")) == 40
    assert "may not patch workloadentries of networking.istio.io in the namespace bad-not" in str(
        result["failures"][0]["message"]
    )
    assert len(result["failures"]) + len(result["not_tried"]) == 40

    # Server-side apply of a new object takes two verbs.
    allow(api_server, "bad-not", "bad-half", may("list", "patch"), accounts)
    result = run_module("workload_entry", given)
    assert "may not create workloadentries" in result["msg"]
    assert result["unchanged"] == 40
    allow(api_server, "bad-not", "bad-half", may("list", "patch", "create"), accounts)
    assert len(run_module("workload_entry", given)["created"]) == 40

    gone = {**given, "state": "absent", "entries": [{"name": "app-1", "namespace": "bad-may"}]}
    result = run_module("workload_entry", gone)
    assert "may not delete workloadentries" in result["msg"]
    assert result["deleted"] == []


def test_who_may_not_create_may_still_change(api_server: ApiServer, run_module: RunModule) -> None:
    api_server.namespace("bad-create", "app")
    run_module(
        "workload_entry", {"namespace": "bad-create", "entries": [entry(n) for n in range(30)]}
    )
    verbs = {"apiGroups": ["networking.istio.io"], "resources": ["workloadentries"]}
    allow(api_server, "bad-create", "bad-patcher", {**verbs, "verbs": ["list", "patch"]})
    given = {
        "namespace": "bad-create",
        "kubeconfig": str(api_server.kubeconfig_for("bad-patcher")),
        "entries": [
            *(entry(n) for n in range(100, 160)),
            *(entry(n, weight=2) for n in range(30)),
        ],
        "validate_service_accounts": False,
    }
    result = run_module("workload_entry", given)
    assert len(result["updated"]) == 30
    assert len(result["failures"]) + len(result["not_tried"]) == 60
    assert result["msg"].count("may not create workloadentries") == 1
    assert result["msg"].endswith(". Correct that; then a run does the rest.")


def test_a_record_that_may_not_be_kept_is_known_before(
    api_server: ApiServer, run_module: RunModule
) -> None:
    """Check mode says what the run says: nothing is applied without its record."""
    api_server.namespace("bad-record")
    verbs = ["get", "create", "patch"]
    services = {"apiGroups": [""], "resources": ["services"], "verbs": verbs}
    reads = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    allow(api_server, "bad-record", "bad-recorder", services, reads)
    given = {
        "kubeconfig": str(api_server.kubeconfig_for("bad-recorder")),
        "set": "s",
        "record_namespace": "bad-record",
        "objects": {"app.yaml": text(service("bad-record"))},
    }
    for check in (True, False):
        result = run_module("cluster_config", given, check=check)
        assert result["failed"]
        assert "may not patch configmaps in the namespace bad-record" in result["msg"]
    assert api_server.get("services", "--namespace=bad-record")["items"] == []


def test_an_entry_that_never_gets_healthy(api_server: ApiServer, run_module: RunModule) -> None:
    api_server.namespace("bad-health", "app")
    checked = entry(1, annotations={"proxy.istio.io/health-checks-enabled": "true"})
    given: dict[str, Any] = {
        "namespace": "bad-health",
        "entries": [checked, entry(2)],
        "wait": True,
        "wait_timeout": 1,
    }
    late = run_module("workload_entry", given)
    assert late["failed"]
    assert len(late["created"]) == 2
    (failure,) = late["failures"]
    assert (failure["object"], failure["reason"]) == ("bad-health/app-1", "Timeout")
    assert failure["message"] == "expected to be healthy, found unknown after 1 s"
    for status, said in (("False", "found unhealthy"), ("True", "")):
        patch = {"status": {"conditions": [{"type": "Healthy", "status": status}]}}
        api_server.kubectl(
            *("patch", "workloadentry", "app-1", "--namespace=bad-health", "--type=merge"),
            *("--subresource=status", f"--patch={json.dumps(patch)}"),
        )
        result = run_module("workload_entry", given)
        assert not result["changed"]
        assert said in result.get("msg", "")
        assert bool(result.get("failed")) == bool(said)


def group(name: str, **changes: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80}]
    return {"name": name, "ports": ports, "service_account": "app", **changes}


def _steps(namespace: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Calls of modules in a row: each meets what the one before left."""
    common = {"namespace": namespace, "set": "s"}
    refused = entry(4, address="unix://relative", ports=[])
    for entries, more in (
        ([entry(1), entry(2)], {}),
        ([entry(1), entry(2)], {}),
        ([entry(1, weight=3, network=None), refused, entry(3)], {"prune": True}),
        ([{"name": "app-1"}, {"name": "app-99"}], {"state": "absent"}),
    ):
        yield "workload_entry", {**common, "entries": entries, **more}
    for groups, more in (
        ([group("a"), group("b")], {}),
        ([group("a", network="n"), group("c", probe={"httpGet": {"path": "/"}})], {"prune": True}),
        ([{"name": "a"}], {"state": "absent"}),
    ):
        yield "workload_group", {**common, "groups": groups, **more}
    sets = options(namespace, app=text(route(namespace), service(namespace)))
    api = service(namespace)
    api["spec"]["clusterIP"] = "None"  # a dry run makes another one up
    for objects, more in (
        ([route(namespace), api], {}),
        ([api], {}),
        ([api, route(namespace, timeout="soon")], {}),
        ([api], {"state": "absent"}),
    ):
        yield "cluster_config", {**sets, "objects": {"app.yaml": text(*objects)}, **more}


def test_check_mode_says_what_the_run_then_does(
    api_server: ApiServer, run_module: RunModule
) -> None:
    for namespace in ("bad-check", "cc-records"):
        api_server.namespace(namespace, "app")
    changed = failed = 0
    for number, (module, given) in enumerate(_steps("bad-check")):
        foreseen, done = run_module(module, given, check=True), run_module(module, given)
        for result in (foreseen, done):
            result.pop("invocation")
            if "msg" in result:
                result["msg"] = result["msg"].replace("would be ", "")
        assert foreseen == done, f"step {number}, {module}"
        assert bool(done["diff"]) == done["changed"]
        changed, failed = changed + done["changed"], failed + done.get("failed", False)
    assert (changed, failed) == (9, 3)
