# SPDX-License-Identifier: Apache-2.0
"""workload_group against a real API server and istiod."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer, Istiod
from lab.tools import tool

from .conftest import RunModule
from .registering import registered

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]


def group(**changes: Any) -> dict[str, Any]:
    return {
        "name": "api",
        "ports": [{"name": "http", "port": 8080}],
        "labels": {"app": "api"},
        "network": "net-1",
        "service_account": "api",
        "probe": {"httpGet": {"path": "/healthz", "port": 8080}, "period": "2s"},
        **changes,
    }


def stored(api: ApiServer, namespace: str) -> dict[str, Any]:
    return api.get("workloadgroup/api", f"--namespace={namespace}")


def test_a_group_is_made_kept_changed_and_removed(
    api_server: ApiServer, run_module: RunModule, tmp_path: Path
) -> None:
    api_server.namespace("wg-life", "api")
    probe = {"httpGet": {"path": "/healthz", "port": 8080}}
    options: dict[str, Any] = {"namespace": "wg-life", "groups": [group(probe=probe)]}
    foreseen = run_module("workload_group", options, check=True)
    made = run_module("workload_group", options)
    assert made["created"] == foreseen["created"] == ["wg-life/api"]
    found = stored(api_server, "wg-life")
    assert found["spec"] == {
        "metadata": {"labels": {"app": "api"}},
        "template": {"ports": {"http": 8080}, "network": "net-1", "serviceAccount": "api"},
        "probe": probe,
    }
    file = tmp_path / "group.yaml"
    file.write_text(yaml.safe_dump(found))
    subprocess.run([tool("istioctl"), "validate", "-f", file], check=True, timeout=30)

    assert not run_module("workload_group", options)["changed"]
    options["groups"] = [group(probe=None)]
    assert run_module("workload_group", options)["updated"] == ["wg-life/api"]
    assert "probe" not in stored(api_server, "wg-life")["spec"]
    gone = {**options, "state": "absent", "wait": True}
    assert run_module("workload_group", gone)["deleted"] == ["wg-life/api"]
    assert not run_module("workload_group", gone)["changed"]


def test_what_is_wrong_is_named(api_server: ApiServer, run_module: RunModule) -> None:
    api_server.namespace("wg-bad", "api")

    def said(**changes: Any) -> str:
        result = run_module("workload_group", {"namespace": "wg-bad", "groups": [group(**changes)]})
        assert result["failed"]
        return str(result["msg"])

    twice = [{"name": "http", "port": 80}, {"name": "http", "port": 81}]
    assert "groups[0] (wg-bad/api).ports[1].name: expected each name once" in said(ports=twice)
    assert "spec.template.serviceAccount: expected a ServiceAccount" in said(service_account="no")
    # Istio's duration is a number there: the API server says so, with the field.
    assert "spec.probe.period" in said()
    assert "port" in said(probe={"httpGet": {"path": "/"}})


async def test_it_waits_for_the_hosts_of_the_group(
    api_server: ApiServer, istiod: Istiod, run_module: RunModule, tmp_path: Path
) -> None:
    api_server.namespace("wg-wait", "api")
    options: dict[str, Any] = {
        "namespace": "wg-wait",
        "groups": [group(probe=None, members=1)],
        "wait": True,
        "wait_timeout": 1,
    }
    late = await asyncio.to_thread(run_module, "workload_group", options)
    assert late["failed"]
    assert late["created"] == ["wg-wait/api"]
    assert "expected 1 hosts connected, found 0 connected" in late["msg"]
    host = {
        "name": "api-1",
        "namespace": "wg-wait",
        "group": "api",
        "address": "10.242.3.1",
        "network": "net-1",
        "labels": {"app": "api"},
        "service_account": "api",
    }
    async with registered(api_server, istiod, tmp_path / "host", host):
        options["wait_timeout"] = 30
        there = await asyncio.to_thread(run_module, "workload_group", options)
    assert "failed" not in there
    assert not there["changed"]
