"""The process as systemd runs it: readiness, watchdog, signals, and what keeps it from starting."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.cluster.ports import free_ports
from mesh_core.pki import new_key
from tests.wire.control.support import OBJECTS, a_service


class Unit:
    """A configuration, and the process that runs it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.objects = directory / "objects"
        self.objects.mkdir()
        (self.objects / "shop.yaml").write_text(OBJECTS)
        self.xds, self.status = free_ports(2)
        self.config = directory / "control.yaml"
        self.config.write_text(
            f"listen: {{xds: '127.0.0.1:{self.xds}', status: '127.0.0.1:{self.status}'}}\n"
            f"objects: {self.objects}\nstate: {self.state}\n"
        )
        self.told: queue.Queue[str] = queue.Queue()
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(directory / "notify"))
        # The queue of the socket holds ten; a manager that does not read would stop the process.
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def close(self) -> None:
        self.manager.shutdown(socket.SHUT_RDWR)
        self._listener.join()
        self.manager.close()

    def _listen(self) -> None:
        while text := self.manager.recv(4096):
            for line in text.decode().splitlines():
                self.told.put(line)

    def command(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mesh_control", *arguments, "--config", str(self.config)],
            input=text,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(self.directory / "notify"),
            "WATCHDOG_USEC": "600000",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "mesh_control", "run", "--config", str(self.config)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            self.expect("READY=1")
            yield process
        finally:
            process.kill()
            process.wait()
            assert process.stderr
            process.stderr.close()

    def expect(self, assignment: str, seconds: float = 20) -> None:
        """Wait until the service manager is told this; queue.Empty when it is not."""
        while self.told.get(timeout=seconds) != assignment:
            pass


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    unit = Unit(tmp_path)
    yield unit
    unit.close()


def test_a_life(unit: Unit) -> None:
    with unit.running() as process:
        unit.expect("WATCHDOG=1")
        assert unit.command("root").stdout == (unit.state / "ca/root-cert.pem").read_text()
        status = unit.command("status", "--json")
        assert json.loads(status.stdout)["objects"] == {"Service": 1, "WorkloadGroup": 2}
        assert "1 Service, 2 WorkloadGroup" in unit.command("status").stdout

        wanted = json.dumps([{"namespace": "shop", "service_account": "api"}])
        made = unit.command("token", "create", text=wanted)
        [token] = json.loads(made.stdout)
        assert (token["namespace"], token["service_account"]) == ("shop", "api")
        assert token["token"].count(".") == 2

        (unit.objects / "more.yaml").write_text(a_service("more"))
        process.send_signal(signal.SIGHUP)
        unit.expect("RELOADING=1")
        unit.expect("READY=1")

        second = unit.command("run")
        assert second.returncode == 1
        assert second.stderr.strip() == (
            f"mesh-control: {unit.state}: another mesh-control is running on it"
        )

        process.send_signal(signal.SIGTERM)
        unit.expect("STOPPING=1")
        assert process.wait(10) == 0
        assert process.stderr
        log = process.stderr.read()
        assert "4 objects in force" in log
        assert token["token"] not in log
        assert "Traceback" not in log
    gone = unit.command("status")
    assert gone.returncode == 3
    assert f"is not running at 127.0.0.1:{unit.status}" in gone.stderr


def test_a_loop_that_hangs_is_not_reported_as_well(unit: Unit) -> None:
    with unit.running() as process:
        unit.expect("WATCHDOG=1")
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(queue.Empty):
            unit.expect("anything", seconds=1)
        process.send_signal(signal.SIGCONT)
        unit.expect("WATCHDOG=1")


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The message of a command that failed as commands shall."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("mesh-control: ")]
    assert len(lines) == 1
    return lines[0].removeprefix("mesh-control: ")


def test_a_taken_port_is_named(unit: Unit) -> None:
    with socket.create_server(("127.0.0.1", unit.xds)):
        message = one_line(unit.command("run"))
    assert message.startswith(f"listen.xds: cannot listen on 127.0.0.1:{unit.xds}: ")
    assert "address already in use" in message.lower()


def test_both_families_are_served_on_one_socket(unit: Unit) -> None:
    unit.config.write_text(unit.config.read_text().replace("127.0.0.1", "[::]"))
    with unit.running():
        for host in ("127.0.0.1", "::1"):
            for port in (unit.xds, unit.status):
                socket.create_connection((host, port), timeout=5).close()


def test_an_unusable_state_directory_is_named(unit: Unit) -> None:
    unit.state.write_text("a file")
    message = one_line(unit.command("run"))
    assert message.startswith(f"{unit.state}: expected to be readable and writable by this user")


def test_an_unusable_key_is_named(unit: Unit) -> None:
    (unit.state / "tokens").mkdir(parents=True)
    (unit.state / "tokens/key.pem").write_text("nonsense")
    assert "tokens/key.pem: expected a PEM private key" in one_line(unit.command("run"))
    (unit.state / "tokens/key.pem").unlink()
    (unit.state / "ca/ca-key.pem").write_bytes(new_key())
    assert "ca-key.pem: is not the key of" in one_line(unit.command("run"))


def test_a_typing_error_in_the_configuration_is_named(unit: Unit) -> None:
    text = unit.config.read_text()
    unit.config.write_text(f"{text}trust_domian: x\n")
    assert one_line(unit.command("run")) == (
        f"{unit.config}: trust_domian: unknown key; did you mean trust_domain?"
    )
