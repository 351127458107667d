# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh_agent.identity.settings import Endpoint
from mesh_agent.settings import check_files, check_fragment, load
from mesh_core.errors import ConfigError

GOOD: dict[str, Any] = {
    "control_plane": {"addresses": ["10.231.1.10:15012"]},
    "workload": {
        "name": "api-1",
        "namespace": "shop",
        "service_account": "api",
        "addresses": ["10.231.1.21"],
        "ports": [{"name": "http", "port": 8080}],
    },
}


def write(directory: Path, name: str = "agent.yaml", **changes: Any) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(yaml.safe_dump({**GOOD, **changes}))
    return path


def test_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    write(tmp_path)
    settings = load(tmp_path)
    assert str(settings.spiffe_id) == "spiffe://cluster.local/ns/shop/sa/api"
    assert (settings.mesh.cluster_id, settings.mesh.network) == ("mesh1", "network-1")
    assert settings.control_plane.server_name == "istiod.istio-system.svc"
    assert settings.control_plane.root_certificate == Path("/etc/mesh-agent/root-cert.pem")
    assert settings.identity.token == Path("/var/lib/mesh-agent/join-token")
    assert (settings.identity.lifetime_seconds, settings.identity.rotate_ratio) == (86400, 0.5)
    assert (settings.status.port, settings.status.local.host) == (15020, "127.0.0.1")
    assert (settings.proxy.concurrency, settings.proxy.drain_seconds) == (2, 5)
    assert settings.profile == "vm"
    assert settings.dns.enabled


def test_roles_own_their_fragments(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "proxy.yaml").write_text("proxy: {concurrency: 4}\n")
    assert load(tmp_path).proxy.concurrency == 4
    (tmp_path / "z.yaml").write_text("proxy: {concurrency: 4}\n")
    with pytest.raises(ConfigError, match=r"z.yaml: proxy: already given in .*proxy.yaml"):
        load(tmp_path)


def nested(section: str, **changes: Any) -> dict[str, Any]:
    return {section: {**GOOD.get(section, {}), **changes}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (nested("workload", addresses=["10.0.0.300"]),
         r"agent.yaml: workload: addresses\[0\]: expected an IP address, found '10.0.0.300'"),
        (nested("workload", addresses=[]), r"workload: addresses: expected at least one"),
        (nested("workload", ports=[{"name": "http", "port": 0}]),
         r"workload.ports\[0\]: port: expected a port between 1 and 65535, found 0"),
        (nested("workload", name=""), "workload: name: expected a name"),
        (nested("workload", nmae="x"), "workload.nmae: unknown key; did you mean name?"),
        (nested("control_plane", addresses=["10"]),
         r"control_plane: addresses\[0\]: expected HOST:PORT or \[ADDRESS\]:PORT, found '10'"),
        (nested("control_plane", addresses=[]), "control_plane: addresses: expected at least one"),
        (nested("identity", rotate_ratio=1.5), "identity: rotate_ratio: expected .* found 1.5"),
        (nested("identity", rotate_jitter=0.5), "identity: rotate_jitter: expected less"),
        (nested("identity", lifetime_seconds=0), "identity: lifetime_seconds: expected at least 1"),
        (nested("status", port=70000), "status: port: expected a port .* found 70000"),
        (nested("status", address="localhost"), "status: address: expected an IP address"),
        (nested("proxy", concurrency=0), "proxy: concurrency: expected at least 1"),
        (nested("proxy", drain_seconds=-1), "proxy: drain_seconds: expected 0 or more"),
        ({"profile": "pod"}, "profile: expected vm, node, gateway, found 'pod'"),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_its_place(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    write(tmp_path, **changes)
    with pytest.raises(ConfigError, match=expected):
        load(tmp_path)


def test_who_and_where_are_required(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("profile: vm\n")
    with pytest.raises(ConfigError, match="control_plane: is required"):
        load(tmp_path)


def test_a_fragment_is_checked_on_its_own(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    for text, problem in (
        ("proxy: {concurrency: 4}\n", None),
        ("", None),
        ("proxy: {concurrency: four}\n", "proxy.concurrency: expected an integer, found 'four'"),
        ("proxy: {concurrency: 0}\n", "proxy: concurrency: expected at least 1"),
        ("proxi: {}\n", "proxi: unknown key; did you mean proxy?"),
        ("- 1\n", "expected a mapping, found a list"),
    ):
        path.write_text(text)
        if problem is None:
            check_fragment(path)
        else:
            with pytest.raises(ConfigError, match=problem):
                check_fragment(path)


def test_files_that_are_named_are_looked_at(tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    write(tmp_path / "config", **nested("control_plane", root_certificate=str(root)))
    settings = load(tmp_path / "config")
    with pytest.raises(ConfigError, match=r"control_plane.root_certificate: .*root.pem cannot be"):
        check_files(settings)
    root.write_text("nothing\n")
    with pytest.raises(ConfigError, match=r"expected PEM certificates in .*root.pem, found none"):
        check_files(settings)
    root.write_text("-----BEGIN CERTIFICATE-----\n")
    check_files(settings)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.1:15012", "10.0.0.1", 15012),
        ("istiod.mesh:15012", "istiod.mesh", 15012),
        ("[fd00::1]:15012", "fd00::1", 15012),
    ],
)
def test_endpoints(text: str, host: str, port: int) -> None:
    endpoint = Endpoint.parse(text)
    assert (endpoint.host, endpoint.port, str(endpoint)) == (host, port, text)


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:0", "h:65536", "fd00::1:15012"])
def test_no_endpoints(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        Endpoint.parse(text)


def test_a_node_captures_its_workloads_ports_and_mesh_addresses_alone(tmp_path: Path) -> None:
    write(tmp_path, profile="node")
    capture = load(tmp_path).capture
    assert capture.include_inbound_ports == (8080,)
    assert "240.240.0.0/16" in capture.include_outbound_cidrs
    write(tmp_path)
    settings = load(tmp_path)
    assert settings.capture == settings.redirect


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            nested("workload", ports=[{"name": "kubelet", "port": 10250}]),
            r"workload.ports\[0\]: .* found 10250",
        ),
        (
            {"redirect": {"include_outbound_cidrs": ["10.231.0.0/16"]}},
            r"redirect.include_outbound_cidrs\[0\]: .*10.231.1.21",
        ),
    ],
)
def test_what_would_cut_a_node_off_is_refused(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    write(tmp_path, **changes)
    load(tmp_path)
    write(tmp_path, profile="node", **changes)
    with pytest.raises(ConfigError, match=expected):
        load(tmp_path)
