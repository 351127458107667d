# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""mesh_calls, checked before the first call is made."""

from __future__ import annotations

import difflib
import math
import typing as t

from .outcome import ALLOWED, EXPECTATIONS
from .spread import needed_count
from .target import parse_target

#: Keys of an entry that its caller needs: the options of the module mesh_call.
CALL_KEYS = (
    "name",
    "url",
    "expect",
    "peer",
    "via",
    "count",
    "timeout",
    "plaintext",
    "spread",
    "answer_key",
)
_KEYS = ("from", "to", *CALL_KEYS)


def _is_number(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_texts(value: t.Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _is_weights(value: t.Any) -> bool:
    return (
        isinstance(value, t.Mapping)
        and bool(value)
        and all(_is_number(weight) and weight > 0 for weight in value.values())
    )


#: What a key has to hold, and how a person calls that.
_SHAPES: t.Mapping[str, tuple[t.Callable[[t.Any], bool], str]] = {
    "name": (lambda value: isinstance(value, str), "a text"),
    "url": (lambda value: isinstance(value, str), "a URL"),
    "expect": (lambda value: value in EXPECTATIONS, f"one of {', '.join(EXPECTATIONS)}"),
    "peer": (lambda value: isinstance(value, str), "a SPIFFE identity"),
    "via": (_is_texts, "a list of addresses"),
    "count": (lambda value: _is_number(value) and value >= 1 and value % 1 == 0, "1 or more"),
    "timeout": (lambda value: _is_number(value) and value > 0, "a number of seconds"),
    "plaintext": (lambda value: isinstance(value, bool), "true or false"),
    "spread": (_is_weights, "weights, as in {v1: 75, v2: 25}"),
    "answer_key": (lambda value: isinstance(value, str), "a text"),
}


class PlanError(Exception):
    """The user's text: one line for each problem."""


def check_call(call: t.Mapping[str, t.Any], where: str) -> None:
    """Checks what a caller needs of one entry. Keys that hold None count as absent."""
    problems = _call_problems(call, where)
    if problems:
        raise PlanError("\n".join(problems))


def make_plan(
    calls: t.Any, hosts: t.Collection[str], groups: t.Collection[str] = ()
) -> list[dict[str, t.Any]]:
    """The entries, each with a name and with ``to`` as a list. PlanError names all problems.

    hosts, groups: names of the inventory.
    """
    if not isinstance(calls, (list, tuple)) or not calls:
        found = "nothing" if not calls else f"a {type(calls).__name__}"
        raise PlanError(
            f"mesh_calls: expected a list of calls to prove, found {found}; set it for all hosts,"
            " for example in group_vars/all.yml"
        )
    problems = [
        problem
        for index, call in enumerate(calls)
        for problem in _entry_problems(call, f"mesh_calls[{index}]", hosts, groups)
    ]
    if problems:
        raise PlanError("\n".join(problems))
    return [_complete(call) for call in calls]


def _entry_problems(
    call: t.Any, where: str, hosts: t.Collection[str], groups: t.Collection[str]
) -> t.Iterator[str]:
    if not isinstance(call, t.Mapping):
        yield f"{where}: expected a mapping with from, url and expect, found {call!r}"
        return
    for key in call:
        if key not in _KEYS:
            yield f"{where}: unknown key {key!r}{_meant(str(key), _KEYS)}"
    if call.get("from") is None:
        yield f"{where}.from: missing; expected the host that makes the call"
    ends = [("from", call["from"])] if call.get("from") is not None else []
    ends += [("to", host) for host in _as_list(call.get("to"))]
    for key, host in ends:
        if host in hosts:
            continue
        if host in groups:
            yield f"{where}.{key}: {host} is a group, expected a host"
        else:
            yield f"{where}.{key}: no host {host!r} in the inventory{_meant(str(host), hosts)}"
    yield from _call_problems(call, where)


def _call_problems(call: t.Mapping[str, t.Any], where: str) -> list[str]:
    problems = [
        f"{where}.{key}: missing; expected {_SHAPES[key][1]}"
        for key in ("url", "expect")
        if call.get(key) is None
    ]
    for key, (fits, expected) in _SHAPES.items():
        value = call.get(key)
        if value is not None and not fits(value):
            problems.append(f"{where}.{key}: found {value!r}, expected {expected}")
    if not problems:
        problems += _sense(call, where)
    return problems


def _sense(call: t.Mapping[str, t.Any], where: str) -> t.Iterator[str]:
    """Whether keys that are right one by one go together."""
    try:
        parse_target(call["url"])
    except ValueError as error:
        yield f"{where}.url: {error}"
    peer = call.get("peer")
    if peer is not None and not peer.startswith("spiffe://"):
        yield f"{where}.peer: found {peer!r}, expected spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/NAME"
    spread = call.get("spread")
    if spread:
        if call["expect"] != ALLOWED:
            yield f"{where}.spread: only a call that is {ALLOWED} has answers to count"
        needed = needed_count(spread)
        if (call.get("count") or 1) < needed:
            yield (
                f"{where}.count: {call.get('count') or 1} calls are too few to show"
                f" {where}.spread, expected at least {needed}"
            )


def _complete(call: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    complete = dict(call)
    complete["to"] = _as_list(call.get("to"))
    if complete.get("name") is None:
        complete["name"] = parse_target(call["url"]).authority
    return complete


def _as_list(value: t.Any) -> list[t.Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _meant(word: str, known: t.Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
