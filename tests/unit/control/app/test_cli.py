from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh_control.ca.tokens import Tokens, open_key
from mesh_control.cli import main
from mesh_core.clock import SystemClock

GROUP = """---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: api, namespace: shop}
spec: {template: {serviceAccount: api}}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "control.yaml"
    (tmp_path / "objects").mkdir()
    path.write_text(f"objects: {tmp_path}/objects\nstate: {tmp_path}/state\n")
    return str(path)


def give(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_tokens_come_from_standard_input_and_go_to_standard_output(
    tmp_path: Path,
    config: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = open_key(tmp_path / "state/tokens/key.pem")
    give(
        monkeypatch,
        '[{"namespace": "shop", "service_account": "api"},'
        ' {"namespace": "shop", "service_account": "web", "lifetime_seconds": 5}]',
    )
    assert main(["token", "create", "--config", config]) == 0
    made = json.loads(capsys.readouterr().out)
    verifier = Tokens(
        key,
        audience="istio-ca",
        trust_domain="cluster.local",
        lifetime=timedelta(seconds=1),
        clock=SystemClock(),
    )
    for item, account, seconds in zip(made, ("api", "web"), (600, 5), strict=True):
        claims = verifier.verify(item["token"])
        assert str(claims.identity) == f"spiffe://cluster.local/ns/shop/sa/{account}"
        assert item["expires"] == f"{claims.expires:%Y-%m-%dT%H:%M:%SZ}"
        left = claims.expires - datetime.now(UTC)
        assert timedelta(seconds=seconds - 3) < left <= timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "standard input: expected JSON"),
        ("{}", "standard input: expected a list of"),
        ('[{"namespace": "a"}]', "standard input: [0].service_account: is required"),
        (
            '[{"namespace": "a", "service_acount": "b"}]',
            "standard input: [0].service_acount: unknown key; did you mean service_account?",
        ),
        (
            '[{"namespace": "a", "service_account": "b", "lifetime_seconds": 0}]',
            "standard input: [0]: lifetime_seconds: expected more than 0, found 0",
        ),
        (
            '[{"namespace": "a/b", "service_account": "b"}]',
            "expected names for namespace and service account, found 'a/b' and 'b'",
        ),
    ],
)
def test_bad_requests_for_tokens_are_named_and_give_none(
    tmp_path: Path,
    config: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    message: str,
) -> None:
    open_key(tmp_path / "state/tokens/key.pem")
    give(monkeypatch, text)
    assert main(["--config", config, "token", "create"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"mesh-control: {message}")


def test_what_the_control_plane_makes_first_is_named(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, "[]")
    for command, name in ((["token", "create"], "key.pem"), (["root"], "root-cert.pem")):
        assert main([*command, "--config", config]) == 1
        error = capsys.readouterr().err
        assert f"{name}: is not there: the control plane makes it when it first starts" in error


def test_objects_are_checked(
    tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "objects/shop.yaml"
    file.write_text(GROUP)
    assert main(["config", "check", "--config", config]) == 0
    assert "error:" not in capsys.readouterr().out
    file.write_text(GROUP.replace("serviceAccount", "serviceAcount"))
    assert main(["config", "check", "--config", config]) == 1
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("error: shop.yaml[0] WorkloadGroup shop/api: spec.template")
    assert "serviceAcount" in line
    # A directory that is named needs no configuration.
    assert main(["config", "check", str(tmp_path / "objects"), "--config", "/nowhere"]) == 1
    assert main(["config", "check", "--config", "/nowhere"]) == 1
    assert "mesh-control: /nowhere: cannot be read" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out.count(".") == 2
