# SPDX-License-Identifier: Apache-2.0
"""A cluster is reached by all that kubernetes.core takes."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer

from .conftest import RunModule
from .rights import binding

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]


def _token_access(api: ApiServer) -> dict[str, str]:
    """Access by token, without a kubeconfig, in kubernetes.core's names."""
    api.namespace("bad-access", "user")
    subject = {"kind": "ServiceAccount", "name": "user", "namespace": "bad-access"}
    api.apply([{**binding("cluster-admin", "bad-access", ""), "subjects": [subject]}])
    audience = "https://kubernetes.default.svc"
    return {
        "host": api.url,
        "api_key": api.token("bad-access", "user", audience=audience),
        "ssl_ca_cert": str(api.certificate_authority),
    }


def test_access_is_described_as_for_kubernetes_core(
    api_server: ApiServer,
    run_module: RunModule,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """By options, by their aliases and by the environment."""
    given: dict[str, Any] = {"namespace": "bad-access", "entries": []}
    given |= {"set": "s", "prune": True}  # so that something is asked

    def said(**access: Any) -> str:
        # As for a module of a host: no kubeconfig is added.
        result = run_module("workload_entry", {**given, **access}, host=True)
        return str(result.get("msg", ""))

    token = _token_access(api_server)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # none of the user's own
    assert "no access to a cluster" in said()
    assert said(**token) == ""
    assert "certificate verify failed" in said(**{**token, "ssl_ca_cert": None})
    assert said(**{**token, "ssl_ca_cert": None, "verify_ssl": False}) == ""
    user = yaml.safe_load(api_server.kubeconfig.read_text())["users"][0]["user"]
    pair = {"cert_file": "client-certificate-data", "key_file": "client-key-data"}
    for option, key in pair.items():
        (tmp_path / option).write_bytes(base64.b64decode(user[key]))
    files = {option: str(tmp_path / option) for option in pair}
    by_pair = {"host": token["host"], "ssl_ca_cert": token["ssl_ca_cert"], **files}
    assert said(**by_pair) == ""
    assert "user 'who' may not list" in said(**by_pair, impersonate_user="who")
    as_master = {"impersonate_user": "who", "impersonate_groups": ["system:masters"]}
    assert said(**by_pair, **as_master) == ""

    for access in (token, {**by_pair, "verify_ssl": "yes"}, {"kubeconfig": api_server.kubeconfig}):
        with monkeypatch.context() as patch:
            for option, value in access.items():
                patch.setenv(f"K8S_AUTH_{option.upper()}", str(value))
            assert said() == ""
            patch.setenv("K8S_AUTH_IMPERSONATE_USER", "who")
            if "api_key" not in access:
                assert "user 'who' may not list" in said()
                patch.setenv("K8S_AUTH_IMPERSONATE_GROUPS", "a,system:masters")
                assert said() == ""
            if "kubeconfig" in access:
                patch.setenv("K8S_AUTH_CONTEXT", "nowhere")
                assert "there is no context 'nowhere'" in said()


ALL: dict[str, Any] = {"namespace": "bad-access", "entries": [], "set": "s", "prune": True}


@pytest.mark.parametrize(
    ("option", "taken"), [("ca_cert", "ssl_ca_cert"), ("validate_certs", "verify_ssl")]
)
def test_both_names_of_an_option_stand_in_the_environment(
    option: str,
    taken: str,
    api_server: ApiServer,
    run_module: RunModule,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    token = _token_access(api_server)
    value = {"ca_cert": token["ssl_ca_cert"], "validate_certs": "no"}[option]
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("K8S_AUTH_HOST", token["host"])
    monkeypatch.setenv("K8S_AUTH_API_KEY", token["api_key"])
    for name in (option, taken):
        with monkeypatch.context() as patch:
            patch.setenv(f"K8S_AUTH_{name.upper()}", value)
            result = run_module("workload_entry", ALL, host=True)
        assert not result.get("failed"), result["msg"]


def test_several_kubeconfigs_are_joined_as_kubectl_joins_them(
    api_server: ApiServer, run_module: RunModule, tmp_path: Path
) -> None:
    api_server.namespace("bad-access")
    given = f"{tmp_path}/none:{api_server.kubeconfig}"
    result = run_module("workload_entry", {**ALL, "kubeconfig": given})
    assert not result.get("failed"), result["msg"]
    result = run_module("workload_entry", {**ALL, "kubeconfig": given, "context": "nowhere"})
    assert "there is no context 'nowhere'" in result["msg"]


def test_a_host_alone_is_asked_with_the_credentials_that_kubectl_would_take(
    api_server: ApiServer, run_module: RunModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api_server.kubeconfig))
    api_server.namespace("bad-access")
    there = {**ALL, "host": api_server.url}
    result = run_module("workload_entry", there, host=True)
    assert not result.get("failed"), result["msg"]
    result = run_module("workload_entry", {**there, "context": "nowhere"}, host=True)
    assert "there is no context 'nowhere'" in result["msg"]
