# SPDX-License-Identifier: GPL-3.0-or-later
"""What verify writes and prints."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.document import to_json
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.junit import to_junit
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.page import to_page
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.results import Report, span
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.table import to_table

Make = Callable[..., Report]
_EVIL = "<script>alert('\"&')</script>]]>\x00\x1b\ud800"


def _fail(run: dict[str, Any], host: str, turn: int, **changes: Any) -> None:
    run["made"][host]["results"][turn].update({"ok": False, **changes})


def _poisoned(run: dict[str, Any]) -> None:
    """Everything that comes from elsewhere holds what must not get out."""
    run["made"] = {host + _EVIL: task for host, task in run["made"].items()}
    for call in run["calls"]:
        call["name"] = _EVIL
        call["from"] += _EVIL
        call["url"] = call["url"].rstrip("/") + "/" + _EVIL
    for task in run["made"].values():
        for result in task["results"]:
            result.update(body=f"body: {_EVIL}", reason=_EVIL, answers={_EVIL: 1}, ok=False)
            for end in result["endpoints"]:
                end.update(peer=_EVIL, serial=_EVIL, tls=_EVIL)


def _tree(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.encode())  # noqa: S314 - it is our own


class _Page(HTMLParser):
    """Elements that are open at the end, all names of elements, and what refers elsewhere."""

    _VOID = frozenset({"meta", "wbr", "br", "path", "rect", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        values = dict(attrs)
        self.attributes |= values.keys()
        self.links += [values[key] or "" for key in ("href", "src") if key in values]
        self.ids += [values["id"] or ""] if "id" in values else []
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_headlines(make_report: Make, verify_run: dict[str, Any]) -> None:
    assert make_report().headline == "All 15 calls went as expected"
    _fail(verify_run, "web", 0)
    assert make_report().headline == "1 of 15 calls did not go as expected"
    one = [call for call in verify_run["calls"] if call["from"] == "api-1"]
    assert make_report(calls=one).headline == "The call went as expected"


def test_calls_know_where_they_ended(make_report: Make) -> None:
    calls = {call.number: call for call in make_report().calls}
    assert calls[1].targets == ("api-1", "api-2")
    assert calls[1].shares == {"api-1": 29, "api-2": 11}
    assert (calls[2].targets, calls[2].gateway) == (("db",), "gateway")
    # Behind the gateway it was api-1: its certificate is known from a direct call.
    assert (calls[9].targets, calls[9].gateway) == (("api-1",), "gateway")
    assert calls[14].targets == ("gateway",)
    assert calls[15].targets == ("db",)


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (None, "web did not make this call: it did not take part in this run"),
        ({}, "it did not take part"),
        (
            {"unreachable": True, "msg": "no ssh"},
            "web did not make this call: Ansible did not reach the host: no ssh",
        ),
        ({"msg": "no python"}, "web did not make this call: no python"),
        ({"skipped": True}, "it did not take part"),
    ],
)
def test_calls_that_were_not_made_are_failures(
    make_report: Make, verify_run: dict[str, Any], task: dict[str, Any] | None, reason: str
) -> None:
    verify_run["made"].pop("web")
    if task is not None:
        verify_run["made"]["web"] = task
    report = make_report()
    assert [call.number for call in report.failed] == [1, 6]
    assert {call.outcome for call in report.failed} == {"not made"}
    assert reason in report.failed[0].reason
    for write in (to_json, to_junit, to_page):
        assert "not made" in write(report)


def test_json(make_report: Make, verify_run: dict[str, Any]) -> None:
    document = json.loads(to_json(make_report()))
    assert document["ok"] is True
    assert (document["total"], document["failed"]) == (15, 0)
    assert document["outcomes"] == {"allowed": 5, "forbidden": 2, "refused": 7, "unreachable": 1}
    assert document["finished"] == "2026-11-21T11:42:07Z"
    assert document["trust_domain"] == "cluster.local"
    call = document["calls"][1]
    assert (call["from"], call["to"], call["gateway"]) == ("api-1", ["db"], "gateway")
    assert (call["peer"], call["tls"]) == ("spiffe://cluster.local/ns/shop/sa/db", "TLSv1.3")
    assert call["path"] == "gateway 10.231.1.2"
    assert [host["name"] for host in document["hosts"]] == list(verify_run["hosts"])


def test_junit(make_report: Make, verify_run: dict[str, Any]) -> None:
    _fail(verify_run, "db", 1, outcome="allowed", reason="expected forbidden, found allowed")
    verify_run["made"]["web"] = {"unreachable": True}
    root = _tree(to_junit(make_report()))
    (suite,) = root.findall("testsuite")
    assert {key: suite.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "15",
        "failures": "1",
        "errors": "2",
    }
    cases = suite.findall("testcase")
    assert len({case.get("name") for case in cases}) == len(cases) == 15
    failed = {case.get("name"): case.find("failure") for case in cases}
    failure = failed["009 db -> api.shop: forbidden"]
    assert failure is not None
    assert failure.get("message") == "expected forbidden, found allowed"
    assert [case.get("name") for case in cases if case.find("error") is not None] == [
        "001 web -> api.shop: allowed",
        "006 web -> db.shop: refused",
    ]
    output = cases[1].findtext("system-out") or ""
    assert "serial: 7a1fc03e9d22b84415c6f0a97d5e21b0c4d2aa10" in output


def test_junit_takes_any_text(make_report: Make, verify_run: dict[str, Any]) -> None:
    _poisoned(verify_run)
    root = _tree(to_junit(make_report()))
    assert len(root.findall("testsuite/testcase/failure")) == 15
    assert not root.findall(".//script")


@pytest.mark.parametrize("poison", [False, True])
def test_the_page_is_whole_and_alone(
    make_report: Make, verify_run: dict[str, Any], poison: bool
) -> None:
    if poison:
        _poisoned(verify_run)
    text = to_page(make_report())
    page = _Page(text)
    assert page.open == []
    assert "script" not in page.names
    # A quotation mark that got out of an attribute would make others of what follows it.
    assert {name for name in page.attributes if not re.fullmatch("[a-z][a-z0-9-]*", name)} == set()
    assert {"svg", "table", "style"} <= page.names
    # Every reference is to a place in the page itself.
    assert page.links
    assert {link for link in page.links if link.removeprefix("#") not in page.ids} == set()
    assert len(page.ids) == len(set(page.ids)) == 15
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_tells_every_call(make_report: Make) -> None:
    text = to_page(make_report())
    rows = re.findall(r"<tr id=.*?</tr>", text)
    assert len(rows) == 15
    assert "spiffe://<wbr>" not in text
    plain = [re.sub(r"<[^>]+>", " ", row) for row in rows]
    assert "via gateway" in plain[1]
    assert "23 h 37 min left" in plain[1]
    assert "7a1fc03e9d22b84415c6f0a97d5e21b0c4d2aa10" in rows[1]
    assert "TLSv1.3" not in plain[1]
    assert " 1.3 " in plain[1]
    assert "unreachable" in plain[14]


def test_what_is_written_does_not_depend_on_the_run_of_the_program(
    make_report: Make, verify_run: dict[str, Any]
) -> None:
    first, second = make_report(), make_report(made=dict(reversed(verify_run["made"].items())))
    for write in (to_json, to_junit, to_page):
        assert write(first) == write(second)


@pytest.mark.parametrize("width", [79, 100, 132, 200])
@pytest.mark.parametrize("fail", [False, True])
def test_the_table_fits(
    make_report: Make, verify_run: dict[str, Any], width: int, fail: bool
) -> None:
    if fail:
        _fail(verify_run, "web", 0, outcome="error", reason="long words " * 30)
    lines = to_table(make_report(), width)
    assert max(len(line.text) for line in lines) <= width
    text = "\n".join(line.text for line in lines)
    # Whatever the width, everything that is evidence is there.
    for word in ("shop/db", "c4d2aa10", "23 h 37 min", "1.3", "via gateway", "direct", "refused"):
        assert word in text
    assert [line.text.split()[0] for line in lines if re.match(r" ?\d+  ", line.text)] == [
        str(number) for number in range(1, 16)
    ]
    assert ("FAILED  1 web -> api.shop: long words" in text) is fail
    assert lines[-1].mood == ("failed" if fail else "ok")


def test_on_a_tiny_terminal_texts_are_cut(make_report: Make) -> None:
    lines = [line.text for line in to_table(make_report(), 60)]
    assert max(map(len, lines)) <= 60
    assert any(line.startswith(" 5  db") for line in lines)
    assert any(".." in line for line in lines)


def test_columns_stand_below_each_other(make_report: Make) -> None:
    lines = [line.text for line in to_table(make_report(), 200)]
    where = lines[0].index("OUTCOME")
    assert {line[where:].split()[0] for line in lines[1:16]} == {
        "allowed",
        "forbidden",
        "refused",
        "unreachable",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "expired"),
        (0, "expired"),
        (59, "0 min"),
        (240, "4 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d 0 h"),
        (90 * 86400 - 1, "89 d 23 h"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_identities_are_short_where_all_have_the_domain_in_common(
    make_report: Make, verify_run: dict[str, Any]
) -> None:
    db = "spiffe://cluster.local/ns/shop/sa/db"
    assert make_report().identity(db) == "shop/db"
    verify_run["made"]["api-1"]["results"][0]["peer"] = "spiffe://other.org/ns/shop/sa/db"
    report = make_report()
    assert (report.trust_domain, report.identity(db)) == ("", db)
