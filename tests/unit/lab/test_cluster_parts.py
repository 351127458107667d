# SPDX-License-Identifier: Apache-2.0
"""The harness's small parts: authorities, ports, processes, tokens."""

from __future__ import annotations

import itertools
import os
import random
import socket
import time
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lab.cluster import token
from lab.cluster.command import Command
from lab.cluster.pki import Authority, signing_key, write_cacerts
from lab.cluster.ports import free_ports
from lab.cluster.process import Process
from lab.cluster.remote import remote_secret
from lab.errors import LabError
from mesh_core.pki import Authority as MeshAuthority


def process(directory: Path, script: str, **environment: str) -> Process:
    command = Command("script", ("/bin/sh", "-c", script), environment)
    return Process(command, directory / "log", directory / "work")


def test_an_authority_is_made_once(tmp_path: Path) -> None:
    first = Authority.open(tmp_path, "x")
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    assert Authority.open(tmp_path, "x").pair == first.pair


def test_clusters_of_one_root_trust_each_other(tmp_path: Path) -> None:
    root = Authority.create("root")
    for name in ("east", "west"):
        write_cacerts(tmp_path / name, root, name)
        signer = x509.load_pem_x509_certificate((tmp_path / name / "ca-cert.pem").read_bytes())
        signer.verify_directly_issued_by(x509.load_pem_x509_certificate(root.pair.certificate))
        # It is the layout that the embedded control plane reads as well.
        assert MeshAuthority.open(tmp_path / name, "x").root_pem.encode() == root.pair.certificate
        assert (tmp_path / name / "ca-key.pem").stat().st_mode & 0o777 == 0o600


def test_ports_are_free_and_no_clients() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(10000 <= port < lowest for port in ports)
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_a_port_that_is_taken_on_one_address_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        offered = itertools.count(port, -1)  # others on this machine may have the next ones
        monkeypatch.setattr(random, "randint", lambda _lowest, _highest: next(offered))
        found = free_ports(1, "127.0.0.2")
        assert port not in found
    with pytest.raises(LabError, match=r"^192\.0\.2\.1: cannot be listened on: "):
        free_ports(1, "192.0.2.1")


def test_a_process_has_its_own_session_directory_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "of the user")
    started = process(tmp_path, "echo $PWD $KUBECONFIG $OWN; exec sleep 60", OWN="value")
    started.start()
    started.wait_until(lambda: "\n" in started.log.read_text(), 10)
    try:
        assert started.log.read_text() == f"{tmp_path}/work value\n"
        assert started.pid is not None
        assert os.getsid(started.pid) == started.pid
        pid = started.pid
        started.start()
        assert started.pid == pid
    finally:
        started.stop()
    assert started.pid is None
    assert not Path(f"/proc/{pid}").exists()


def test_a_process_that_does_not_want_to_end_is_killed(tmp_path: Path) -> None:
    started = process(tmp_path, "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    started.start()
    started.wait_until(lambda: "ready" in started.log.read_text(), 10)
    began = time.monotonic()
    started.stop(seconds=0.2)
    assert not started.running
    assert time.monotonic() - began < 5


def test_the_logs_end_is_in_the_error(tmp_path: Path) -> None:
    ended = process(tmp_path, "seq 100; exit 7")
    ended.start()
    with pytest.raises(LabError, match=r"(?s)script ended with status 7\nThe end of .*76\n.*100$"):
        ended.wait_until(lambda: False, 10)
    slow = process(tmp_path, "exec sleep 60")
    slow.start()
    try:
        with pytest.raises(LabError, match=r"script is not ready after 0.1 s\nThe end of"):
            slow.wait_until(lambda: False, 0.1)
    finally:
        slow.kill()
    assert not slow.running


def test_stopping_what_never_ran_is_nothing(tmp_path: Path) -> None:
    never = process(tmp_path, "true")
    never.stop()
    never.kill()
    assert never.pid is None


def test_another_cluster_is_a_labelled_secret() -> None:
    secret = remote_secret("west", "apiVersion: v1\n")
    assert secret["metadata"]["labels"] == {"istio/multiCluster": "true"}
    assert secret["metadata"]["namespace"] == "istio-system"
    assert secret["stringData"] == {"west": "apiVersion: v1\n"}


@pytest.mark.parametrize("seconds", [60, -60])
def test_a_signed_token_says_for_whom_and_how_long(seconds: int) -> None:
    key = signing_key()
    text = token.sign(key, "shop", "web", "uid-1", "istio-ca", seconds)
    private = serialization.load_pem_private_key(key, None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    options = {"verify_exp": seconds > 0}
    claims = jwt.decode(text, public, algorithms=["RS256"], audience="istio-ca", options=options)
    assert claims["sub"] == "system:serviceaccount:shop:web"
    assert claims["kubernetes.io"]["serviceaccount"] == {"name": "web", "uid": "uid-1"}
    assert abs(claims["exp"] - time.time() - seconds) < 5
    assert claims["iat"] < claims["exp"]
