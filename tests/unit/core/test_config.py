from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from mesh_core.config import load_directory, load_yaml, load_yaml_documents, parse
from mesh_core.errors import ConfigError


@dataclass(frozen=True)
class Port:
    number: int
    protocol: Literal["TCP", "UDP"] = "TCP"


@dataclass(frozen=True)
class Server:
    name: str
    ports: tuple[Port, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    weight: float = 1.0
    root: Path | None = None


@dataclass(frozen=True)
class Tree:
    server: Server
    debug: bool = False


def test_plain_data_becomes_a_tree() -> None:
    data = {"name": "a", "ports": [{"number": 80}], "labels": {"x": "y"}, "weight": 2, "root": "/r"}
    assert parse(Server, data, "f.yaml") == Server("a", (Port(80),), {"x": "y"}, 2.0, Path("/r"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "f.yaml: name: is required"),
        ({"name": 5}, "f.yaml: name: expected a string, found 5"),
        ({"name": "a", "prots": []}, "f.yaml: prots: unknown key; did you mean ports?"),
        (
            {"name": "a", "zz": 1},
            "f.yaml: zz: unknown key; expected one of name, ports, labels, weight, root",
        ),
        ({"name": "a", "ports": {}}, "f.yaml: ports: expected a list, found a mapping"),
        (
            {"name": "a", "ports": [{"number": 1}, {"number": "x"}]},
            "f.yaml: ports[1].number: expected an integer, found 'x'",
        ),
        (
            {"name": "a", "ports": [{"number": True}]},
            "f.yaml: ports[0].number: expected an integer, found True",
        ),
        (
            {"name": "a", "ports": [{"number": 1, "protocol": "SCTP"}]},
            "f.yaml: ports[0].protocol: expected TCP, UDP, found 'SCTP'",
        ),
        ({"name": "a", "labels": {"b": 1}}, "f.yaml: labels.b: expected a string, found 1"),
        ([], "f.yaml: expected a mapping, found a list"),
    ],
)
def test_bad_data_is_named_by_its_path(data: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Server, data, "f.yaml")
    assert str(caught.value) == message


def test_fragments_are_merged_and_owned_by_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("server: {name: a}\n")
    (tmp_path / "b.yaml").write_text("debug: true\n")
    assert load_directory(Tree, tmp_path) == Tree(Server("a"), True)
    (tmp_path / "c.yaml").write_text("debug: false\n")
    with pytest.raises(ConfigError, match=r"c\.yaml: debug: already given in .*b\.yaml"):
        load_directory(Tree, tmp_path)


def test_an_error_in_a_fragment_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("server: {nam: a}\n")
    with pytest.raises(ConfigError, match=r"a\.yaml: server\.nam: unknown key; did you mean name"):
        load_directory(Tree, tmp_path)


def test_duplicate_keys_and_bad_yaml_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\na: 2\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:2: not valid YAML: key 'a' is given twice"):
        load_yaml(path)
    path.write_text("a: [1\nb: 2\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:2: not valid YAML"):
        load_yaml(path)
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read: No such file"):
        load_yaml(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1, "b": [true, null, "x: y"]}', {"a": 1, "b": [True, None, "x: y"]}),
        ('# one\n#two\n{"a": {}}\n', {"a": {}}),
        ("{a: 1}\n", {"a": 1}),  # YAML that only begins like JSON
        ('{"a": 1}  # one\n', {"a": 1}),
    ],
)
def test_json_is_yaml(tmp_path: Path, text: str, found: object) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert load_yaml(path) == found


def test_a_mistake_in_json_is_told_as_in_yaml(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text('{"a": 1,\n "b": {"c": 1,\n "c": 2}}\n')
    with pytest.raises(ConfigError, match=r"x\.yaml:3: not valid YAML: key 'c' is given twice"):
        load_yaml(path)
    path.write_text('{"a": 1\n')
    with pytest.raises(ConfigError, match=r"x\.yaml:2: not valid YAML"):
        load_yaml(path)


def test_json_needs_no_yaml_library(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text('{"a": 1}\n')
    program = (
        "import sys; from pathlib import Path; from mesh_core.config import load_yaml\n"
        "print(load_yaml(Path(sys.argv[1])), 'yaml' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "{'a': 1} False\n"


def test_streams_of_documents(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("---\na: 1\n---\n---\nb: 2\n")
    assert load_yaml_documents(path) == [{"a": 1}, {"b": 2}]
    with pytest.raises(ConfigError, match="expected one document, found 2"):
        load_yaml(path)


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_only_python_takes_for_json_is_no_number(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f'{{"name": "a", "weight": {name}}}')
    with pytest.raises(ConfigError, match=f"weight: expected a number, found '{name}'"):
        parse(Server, load_yaml(path), "x")


@pytest.mark.parametrize(
    ("value", "problem"),
    [("[" * 5000 + "]" * 5000, "is nested too deeply"), ("9" * 5000, "a value cannot be read: ")],
)
@pytest.mark.parametrize("form", ['{{"a": {}}}', "a: {}"])
def test_what_nothing_reads_is_an_error_of_its_file(
    tmp_path: Path, form: str, value: str, problem: str
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(form.format(value))
    with pytest.raises(ConfigError, match=rf"x\.yaml: {problem}"):
        load_yaml(path)
