# SPDX-License-Identifier: Apache-2.0
"""The clusters of the tests: what they offer is there, and nothing of them stays behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from lab.cluster import ApiServer, Istiod
from lab.cluster.pki import ISTIOD_NAME
from lab.cluster.remote import remote_secret
from lab.errors import LabError
from mesh_agent.identity.client import CertificateClient, SigningError
from mesh_agent.identity.settings import ControlPlaneSettings, Endpoint
from mesh_core.pki import new_csr, new_key, read_certificate

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]
SPIFFE_ID = "spiffe://cluster.local/ns/harness/sa/web"


@pytest.fixture(scope="module")
def workload(api_server: ApiServer) -> str:
    """The namespace `harness` with the ServiceAccount `web`; gives a token of it for istiod."""
    api_server.namespace("harness", "web")
    return api_server.token("harness", "web")


async def sign(istiod: Istiod, token: str, cluster: str | None = None) -> tuple[str, ...]:
    """A certificate from istiod for a token of its cluster, or of another one."""
    settings = ControlPlaneSettings(
        addresses=tuple(istiod.addresses),
        server_name=ISTIOD_NAME,
        root_certificate=istiod.root_certificate,
    )
    client = CertificateClient(
        settings, cluster_id=cluster or istiod.cluster_id, lifetime_seconds=3600
    )
    host, _unused, port = istiod.addresses[0].rpartition(":")
    before = open_files()
    try:
        return await client.sign(
            new_csr(new_key(), SPIFFE_ID), [Endpoint(host, int(port))], token=token
        )
    finally:
        # A channel closes without waiting for the other side; a test's loop must not end first.
        for _attempt in range(1000):
            if not open_files() - before:
                break
            await asyncio.sleep(0.01)


def open_files() -> set[str]:
    """The numbers of this process's open files, sockets among them."""
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, and one of them goes at once


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def alive(pid: int) -> bool:
    """Whether the process is there and not only waiting for its parent to notice its end."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def synced(istiod: Istiod) -> dict[str, str]:
    """The clusters that istiod reads, and how far it is with each."""
    return {cluster["id"]: cluster["syncStatus"] for cluster in istiod.debug("clusterz")}


def test_the_api_server_is_ready_and_knows_istio(api_server: ApiServer) -> None:
    assert api_server.kubectl("get", "--raw", "/readyz") == "ok"
    found = api_server.get("crd/workloadentries.networking.istio.io")
    conditions = {c["type"]: c["status"] for c in found["status"]["conditions"]}
    assert conditions["Established"] == "True"


def test_objects_are_applied_and_what_the_api_refuses_is_named(api_server: ApiServer) -> None:
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {"name": "web-1", "namespace": "default"},
        "spec": {"address": "10.0.0.1", "labels": {"app": "web"}},
    }
    api_server.apply([entry])
    assert api_server.get("workloadentry/web-1")["spec"]["address"] == "10.0.0.1"
    with pytest.raises(LabError, match="weigth"):
        api_server.apply([{**entry, "spec": {"address": "10.0.0.1", "weigth": 1}}])
    api_server.kubectl("delete", "workloadentry/web-1")


def test_a_token_is_for_its_audience(api_server: ApiServer, workload: str) -> None:
    def review(token: str, audience: str) -> dict[str, object]:
        body = f"""
            apiVersion: authentication.k8s.io/v1
            kind: TokenReview
            spec: {{token: "{token}", audiences: ["{audience}"]}}"""
        how = ("--filename=-", "--output=jsonpath={.status.authenticated}{.status.user.username}")
        return {"said": api_server.kubectl("create", *how, stdin=body)}

    user = "system:serviceaccount:harness:web"
    assert review(workload, "istio-ca") == {"said": f"true{user}"}
    assert review(workload, "somewhere-else")["said"] != f"true{user}"
    assert review(api_server.short_token("harness", "web", seconds=60), "istio-ca") == {
        "said": f"true{user}"
    }
    expired = api_server.short_token("harness", "web", seconds=-60)
    assert review(expired, "istio-ca")["said"] != f"true{user}"


def test_a_user_may_only_what_rbac_says(api_server: ApiServer) -> None:
    config = api_server.kubeconfig_for("nobody", ["harness-readers"])
    assert config.stat().st_mode & 0o777 == 0o600
    with pytest.raises(LabError, match=r'User "nobody" cannot list resource "workloadentries"'):
        api_server.kubectl("get", "workloadentries", f"--kubeconfig={config}")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "harness-readers"}}
    rule = {"apiGroups": ["networking.istio.io"], "resources": ["*"], "verbs": ["list"]}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "harness-readers"}
    api_server.apply(
        [
            {**role, "kind": "ClusterRole", "rules": [rule]},
            {
                **role,
                "kind": "ClusterRoleBinding",
                "roleRef": {**reference, "name": "harness-readers"},
                "subjects": [group],
            },
        ]
    )
    api_server.kubectl("get", "workloadentries", f"--kubeconfig={config}")


def test_istiod_answers_and_gives_its_root_to_every_namespace(
    api_server: ApiServer, istiod: Istiod, workload: str
) -> None:
    assert synced(istiod) == {istiod.cluster_id: "synced"}

    def there() -> bool:
        found = api_server.get("configmaps", "--namespace=harness")["items"]
        return any(item["metadata"]["name"] == "istio-ca-root-cert" for item in found)

    assert eventually(there)
    given = api_server.get("configmap/istio-ca-root-cert", "--namespace=harness")
    assert given["data"]["root-cert.pem"] == istiod.root_certificate.read_text()


async def test_a_token_becomes_a_certificate_of_the_meshs_root(
    istiod: Istiod, workload: str
) -> None:
    chain = await sign(istiod, workload)
    assert read_certificate(chain[0].encode()).uri_sans == (SPIFFE_ID,)
    assert chain[-1].strip() == istiod.root_certificate.read_text().strip()
    leaf, signer = (x509.load_pem_x509_certificate(pem.encode()) for pem in chain[:2])
    root = x509.load_pem_x509_certificate(istiod.root_certificate.read_bytes())
    leaf.verify_directly_issued_by(signer)
    signer.verify_directly_issued_by(root)


async def test_an_expired_token_is_refused(api_server: ApiServer, istiod: Istiod) -> None:
    api_server.namespace("harness", "web")
    with pytest.raises(SigningError, match="UNAUTHENTICATED") as caught:
        await sign(istiod, api_server.short_token("harness", "web", seconds=-60))
    assert caught.value.refused


async def test_an_istiod_that_is_killed_comes_back_as_it_was(
    api_server: ApiServer, istiod: Istiod, tmp_path: Path, workload: str
) -> None:
    with Istiod(api_server, tmp_path / "second", name="istiod-2", root=istiod.root) as second:
        before = second.process.pid
        assert before is not None
        second.kill()
        assert not alive(before)
        with pytest.raises(SigningError):
            await sign(second, workload)
        second.launch()
        assert second.process.pid != before
        chain = await sign(second, workload)
        assert chain[-1].strip() == istiod.root_certificate.read_text().strip()
        second.restart()
        assert await sign(second, workload)
        last = second.process.pid
        assert last is not None
    assert not alive(last)


def test_an_api_server_keeps_its_data_and_leaves_nothing(tmp_path: Path) -> None:
    with ApiServer(tmp_path / "api", name="other") as server:
        server.namespace("kept")
        first = [process.pid for process in server.processes]
        server.stop()
        assert server.processes[0].pid is None
        with pytest.raises(LabError, match="other: kubectl get"):
            server.kubectl("get", "namespace/kept")
        server.start()
        assert server.get("namespace/kept")["metadata"]["name"] == "kept"
        second = [process.pid for process in server.processes]
    pids = [pid for pid in (*first, *second) if pid is not None]
    assert len(pids) == 4
    assert not [pid for pid in pids if alive(pid)]


async def test_an_istiod_reads_another_cluster_and_takes_its_tokens(
    istiod: Istiod, tmp_path: Path
) -> None:
    with ApiServer(tmp_path / "api", name="west") as west:
        west.namespace("harness", "web")
        secret = remote_secret(west.name, west.kubeconfig.read_text())
        istiod.api.apply([secret])
        try:
            wanted = {istiod.cluster_id: "synced", "west": "synced"}
            assert eventually(lambda: synced(istiod) == wanted, 30)
            chain = await sign(istiod, west.token("harness", "web"), cluster="west")
            assert read_certificate(chain[0].encode()).uri_sans == (SPIFFE_ID,)
        finally:
            name = f"secret/{secret['metadata']['name']}"
            istiod.api.kubectl("delete", name, "--namespace=istio-system")
        assert eventually(lambda: list(synced(istiod)) == [istiod.cluster_id])


def test_what_real_nodes_need_is_there_when_asked_for(tmp_path: Path) -> None:
    with ApiServer(tmp_path / "api", nodes=True) as server:
        server.namespace("shop")

        def made() -> set[str]:
            listing = server.kubectl("get", "sa,cm", "--namespace=shop", "--output=name")
            return set(listing.split())

        wanted = {"serviceaccount/default", "configmap/kube-root-ca.crt"}
        assert eventually(lambda: wanted <= made(), 60)
        server.kubectl("delete", "namespace/shop", "--timeout=60s", timeout=90)
        pids = [process.pid for process in server.processes]
        assert len(pids) == 4
    assert not [pid for pid in pids if pid is not None and alive(pid)]


def test_a_tester_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    program = """
        import sys, time
        from pathlib import Path
        from lab.cluster import ApiServer
        server = ApiServer(Path(sys.argv[1]))
        server.start()
        print(*(process.pid for process in server.processes), flush=True)
        time.sleep(600)
    """
    tester = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "api")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    with tester:
        assert tester.stdout is not None
        pids = [int(word) for word in tester.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        tester.kill()
    assert eventually(lambda: not any(alive(pid) for pid in pids))


def test_a_program_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    server = ApiServer(tmp_path / "api", arguments=["--no-such-flag"])
    with pytest.raises(LabError, match=r"(?s)kube-apiserver ended with status.*no-such-flag"):
        server.start()
    server.stop()
    assert all(process.pid is None for process in server.processes)
