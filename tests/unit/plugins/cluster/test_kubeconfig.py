# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubeconfig that is read here means what it means to the package `kubernetes`."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import (
    client_package,
    kubeconfig,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.access import Access
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError

_FILES = {"ca.pem": "the root\n", "sub/cert.pem": "a certificate\n", "key.pem": "a key\n"}


def written(folder: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    for name, text in {**_FILES, "token": "from-a-file"}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    content = {
        "clusters": [
            {"name": "other", "cluster": {"server": "https://other"}},
            {"name": "c", "cluster": {"server": "https://c:6443/prefix/", **cluster}},
        ],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(content))
    return path


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def values(access: Access) -> dict[str, Any]:
    return {**vars(access), "authorization": access.authorization()}


IN_FILES = {"client-certificate": "sub/cert.pem", "client-key": "key.pem"}
PLAIN = [
    ({"certificate-authority": "ca.pem"}, IN_FILES),
    ({"certificate-authority-data": data("root")}, {"client-key-data": data("key"), **IN_FILES}),
    ({"insecure-skip-tls-verify": True, "tls-server-name": "kubernetes"}, {"token": "t"}),
    ({"extensions": [{"name": "e", "extension": {}}]}, {"tokenFile": "token"}),
]


@pytest.mark.parametrize(("cluster", "user"), PLAIN)
def test_certificates_and_tokens_are_those_that_the_package_reads(
    cluster: dict[str, Any], user: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, cluster, user)
    theirs = client_package.read([str(path)], "x", "kubeconfig")
    monkeypatch.setattr(client_package, "read", None)
    ours, origin = kubeconfig.read(str(path), None)
    assert values(ours) == values(theirs)
    assert origin == f"kubeconfig {path}, context x"


@pytest.mark.parametrize(
    ("cluster", "user"),
    [
        ({}, {"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1"}}),
        ({}, {"auth-provider": {"name": "oidc"}}),
        ({}, {"username": "u", "password": "p"}),
        ({}, {"token": "t", "tokenFile": "token"}),
        ({}, {"token": "t", "as": "somebody"}),
        ({"proxy-url": "http://proxy"}, {"token": "t"}),
        ({}, {}),
    ],
)
def test_all_else_is_left_to_the_package(
    cluster: dict[str, Any], user: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Access(server="https://theirs")
    monkeypatch.setattr(client_package, "read", lambda *_arguments, **_more: given)
    found, _origin = kubeconfig.read(str(written(tmp_path, cluster, user)), None)
    assert found is given


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"client-key-data": "abc"}, "context x: client-key-data: expected base64"),
        (
            {"client-key": "away.pem"},
            r"context x: client-key: cannot be read: No such .*/away\.pem",
        ),
        ({"tokenFile": "away"}, r"context x: tokenFile: cannot be read: No such file .*/away"),
        ({"token": 4711}, "context x: token: expected text, found int$"),
        ({"username": "u", "password": 4711}, "context x: password: expected text, found int$"),
    ],
)
def test_what_is_wrong_is_named(user: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=said):
        kubeconfig.read(str(written(tmp_path, {}, user)), None)


@pytest.mark.parametrize("user", [{"token": "t"}, {"username": "u", "password": "p"}])
@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (
            {"insecure-skip-tls-verify": "false"},
            "x: insecure-skip-tls-verify: expected true or false, found 'false'",
        ),
        ({"server": 123}, "context x: server: expected text, found int"),
    ],
)
def test_what_is_wrong_with_a_cluster_is_named_whoever_reads_it(
    cluster: dict[str, Any], user: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = written(tmp_path, cluster, user)
    with pytest.raises(ClusterError, match=said):
        kubeconfig.read(str(path), None)
    with pytest.raises(ClusterError, match=said):
        kubeconfig.read(yaml.safe_load(path.read_text()), None)


@pytest.mark.parametrize("user", [{"tokenFile": "token"}, {"token": "t"}])
def test_a_context_may_be_spread_over_files(user: dict[str, Any], tmp_path: Path) -> None:
    content = yaml.safe_load(written(tmp_path, {}, user).read_text())
    files = {"users": {"users": content.pop("users")}, "empty": None, "config": content}
    for name, part in files.items():
        (tmp_path / name).write_text("" if part is None else yaml.safe_dump(part))
    joined = ":".join(str(tmp_path / name) for name in files)
    found, _origin = kubeconfig.read(joined, None)
    assert found.server == "https://c:6443/prefix"
    assert found.authorization() == f"Bearer {'t' if 'token' in user else 'from-a-file'}"
    with pytest.raises(ClusterError, match=r"there is no context 'y': expected one of x"):
        kubeconfig.read(joined, "y")
    with pytest.raises(ClusterError, match=r"it has the contexts none"):
        kubeconfig.read(f"{tmp_path / 'users'}:{tmp_path / 'empty'}", None)


def test_a_token_that_is_replaced_in_its_file_is_read_again(tmp_path: Path) -> None:
    found, _origin = kubeconfig.read(str(written(tmp_path, {}, {"tokenFile": "token"})), None)
    assert found.authorization() == "Bearer from-a-file"
    (tmp_path / "token").write_text("a-later-one\n")
    assert found.authorization() == "Bearer a-later-one"
    (tmp_path / "token").unlink()
    with pytest.raises(ClusterError, match="tokenFile: cannot be read"):
        found.authorization()


def test_without_the_package_tokens_still_work_and_the_rest_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)
    found, _origin = kubeconfig.read(str(written(tmp_path, {}, {"token": "t"})), None)
    assert found.authorization() == "Bearer t"
    with pytest.raises(ClusterError, match=r"Python library \(kubernetes\)"):
        kubeconfig.read(str(written(tmp_path, {}, {"exec": {"command": "x"}})), None)
