#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_call
short_description: Make real calls from a host and show what became of them
version_added: 0.1.0
description:
  - Calls services from the host that the task runs on, as any program there would, with the
    host's own resolver and routes, and compares what happens with what was expected.
  - Each call comes from a source port between 15900 and 15999. The mesh proxy of the host logs
    calls from these ports to its proof log, and from there the module takes the peer's SPIFFE
    identity, its certificate, the TLS version and the path.
  - A call that is expected to be allowed has to show mutual TLS, unless O(calls[].plaintext) says
    otherwise.
  - The module fails when a call went otherwise than expected; the results are returned then, too.
author:
  - hybrid.mesh contributors (@hybrid-mesh)
extends_documentation_fragment:
  - hybrid.mesh.attributes
attributes:
  check_mode:
    support: full
    details:
      - The calls are made in check mode, too. They read, and change nothing.
  diff_mode:
    support: none
  idempotent:
    support: full
  platform:
    platforms: linux
options:
  calls:
    description:
      - The calls to make, one after the other.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - What the call is called in results. The default is the host and port of O(calls[].url).
        type: str
      url:
        description:
          - V(http://HOST[:PORT]/PATH) makes a GET request.
          - V(postgres://[USER@]HOST[:PORT][/DATABASE]) begins a session with PostgreSQL and goes
            no further than the server's first answer. It needs no password.
          - V(tcp://HOST:PORT) sends a line that servers of most protocols answer, if only with an
            error, and reads what comes back. A server that closes the connection on it looks like
            a refusal, PostgreSQL for one, so name the protocol where it is one of the others.
          - HOST is a name or an address, an IPv6 address in brackets.
        type: str
        required: true
      expect:
        description:
          - What has to happen.
          - V(allowed) means that the peer answered.
          - V(forbidden) means that the peer's proxy answered HTTP 403 by its authorization policy.
          - V(refused) means that the connection was refused, reset or closed without an answer, or
            ended by a TLS alert.
          - V(unreachable) means that there is no way to the peer, or that it did not answer in
            time.
        type: str
        choices:
          - allowed
          - forbidden
          - refused
          - unreachable
        required: true
      peer:
        description:
          - The SPIFFE identity that the peer has to show. By default any will do.
        type: str
      via:
        description:
          - Addresses of gateways. One of them has to be on the path. With an empty list the path
            has to be direct. By default any path will do.
        type: list
        elements: str
      count:
        description:
          - How often to make the call. All calls have to go as expected. It is not repeated after
            one that had no answer in time.
        type: int
        default: 1
      timeout:
        description:
          - Seconds for one call, the resolution of the name not included.
        type: float
        default: 5
      plaintext:
        description:
          - The call may be answered without mutual TLS, because the peer or the caller is no part
            of the mesh.
        type: bool
        default: false
      spread:
        description:
          - Expected values of O(calls[].answer_key) in the answers, each with its weight. Each of
            them has to appear and no other one, and each share may differ from its weight by no
            more than four standard deviations.
        type: dict
      answer_key:
        description:
          - Key of JSON answers whose values are counted.
        type: str
        default: version
  proof_log:
    description:
      - Log of the mesh proxy of the host. On a host that is no part of the mesh there is none.
    type: path
    default: /var/log/mesh-proxy/proof.log
  proof_timeout:
    description:
      - Seconds to wait for the lines of all calls to appear in O(proof_log).
    type: float
    default: 3
notes:
  - The user of the task needs to be able to read O(proof_log), so mesh hosts need C(become=true).
seealso:
  - module: hybrid.mesh.proof_plan
  - module: hybrid.mesh.proof_report
"""

EXAMPLES = r"""
---
- name: The web server reaches both versions of the API
  hybrid.mesh.mesh_call:
    calls:
      - url: http://api.shop.svc.cluster.local/
        expect: allowed
        peer: spiffe://cluster.local/ns/shop/sa/api
        count: 40
        spread: {v1: 75, v2: 25}
  become: true

- name: The database is reached through the gateway, and from nowhere else
  hybrid.mesh.mesh_call:
    calls:
      - name: read
        url: postgres://db.shop.svc.cluster.local
        expect: allowed
        via: [192.0.2.2]
      - name: plaintext
        url: postgres://[2001:db8::31]
        expect: refused
  become: true
"""

RETURN = r"""
results:
  description: What became of each call, in the order of O(calls).
  returned: when the arguments are right
  type: list
  elements: dict
  contains:
    name:
      description: The call's name.
      type: str
      sample: api.shop.svc.cluster.local
    url:
      description: What was called.
      type: str
      sample: http://api.shop.svc.cluster.local/
    expect:
      description: What had to happen.
      type: str
      sample: allowed
    outcome:
      description:
        - What happened. V(error) is an answer that no expectation covers, such as HTTP 500.
      type: str
      sample: allowed
    ok:
      description: Whether everything was as expected.
      type: bool
    reason:
      description: How the outcome showed, or what was not as expected.
      type: str
      sample: HTTP 200
    status:
      description: Status code of an HTTP answer.
      type: int
      sample: 200
    body:
      description: The first 500 characters of the answer.
      type: str
    count:
      description: How often the call was made.
      type: int
      sample: 40
    seconds:
      description: Seconds from the begin of the first to the end of the last call.
      type: float
      sample: 0.412
    plaintext:
      description: Whether the call may do without mutual TLS.
      type: bool
    peer:
      description: SPIFFE identity in the peer's certificate.
      type: str
      sample: spiffe://cluster.local/ns/shop/sa/api
    serial:
      description: Serial number of the peer's certificate, hexadecimal.
      type: str
      sample: 5fd2c1
    not_after:
      description: End of the validity of the peer's certificate.
      type: str
      sample: "2026-01-31T12:00:00Z"
    tls:
      description: TLS version between the proxies.
      type: str
      sample: TLSv1.3
    upstream:
      description: Address and port that the host's proxy connected to.
      type: str
      sample: 192.0.2.21:8080
    path:
      description: V(direct), or V(gateway) and its address.
      type: str
      sample: gateway 192.0.2.2
    identity_checked:
      description: Whether every call shows the peer's identity, and the expected one if one was.
      type: bool
    endpoints:
      description:
        - The different peers of repeated calls, the most frequent first, each with C(upstream),
          C(path), C(peer), C(serial), C(not_after), C(tls) and C(count). The first one is also in
          the keys above.
      type: list
      elements: dict
    answers:
      description: How often each value of O(calls[].answer_key) came.
      type: dict
      sample: {v1: 31, v2: 9}
"""

import os
import typing as t
from itertools import chain, islice
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._proof import outcome
from ..module_utils._proof.attempt import (
    SILENT,
    UNREACHED,
    Attempt,
    make_attempt,
)
from ..module_utils._proof.dial import ProofPorts
from ..module_utils._proof.evidence import ProofLog
from ..module_utils._proof.judge import Expectation, judge
from ..module_utils._proof.plan import PlanError, check_call
from ..module_utils._proof.target import parse_target


def argument_spec() -> dict[str, t.Any]:
    """Kept in step with DOCUMENTATION."""
    call = {
        "name": {"type": "str"},
        "url": {"type": "str", "required": True},
        "expect": {"type": "str", "required": True, "choices": list(outcome.EXPECTATIONS)},
        "peer": {"type": "str"},
        "via": {"type": "list", "elements": "str"},
        "count": {"type": "int", "default": 1},
        "timeout": {"type": "float", "default": 5},
        "plaintext": {"type": "bool", "default": False},
        "spread": {"type": "dict"},
        "answer_key": {"type": "str", "default": "version", "no_log": False},
    }
    return {
        "calls": {"type": "list", "elements": "dict", "required": True, "options": call},
        "proof_log": {"type": "path", "default": "/var/log/mesh-proxy/proof.log"},
        "proof_timeout": {"type": "float", "default": 3},
    }


def make_calls(
    calls: t.Sequence[t.Mapping[str, t.Any]], log: ProofLog, wait: float, ports: ProofPorts
) -> list[dict[str, t.Any]]:
    """Makes all calls, then reads their evidence at once. Raises OSError."""
    attempts = [list(_repeat(call, ports)) for call in calls]
    witnessed = iter(log.collect(list(chain.from_iterable(attempts)), wait))
    return [
        judge(_expectation(calls[index]), list(islice(witnessed, len(made))))
        for index, made in enumerate(attempts)
    ]


def _repeat(call: t.Mapping[str, t.Any], ports: ProofPorts) -> t.Iterator[Attempt]:
    """The attempts of one call. After one that came to nothing, more would only take time."""
    target = parse_target(call["url"])
    for _repetition in range(call["count"]):
        attempt = make_attempt(target, ports, call["timeout"])
        yield attempt
        if attempt.kind in (SILENT, UNREACHED):
            return


def _expectation(call: t.Mapping[str, t.Any]) -> Expectation:
    return Expectation(
        name=call["name"] or parse_target(call["url"]).authority,
        url=call["url"],
        expect=call["expect"],
        peer=call["peer"],
        via=None if call["via"] is None else tuple(call["via"]),
        plaintext=call["plaintext"],
        spread={str(value): float(weight) for value, weight in (call["spread"] or {}).items()},
        answer_key=call["answer_key"],
    )


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    calls = module.params["calls"]
    try:
        for index, call in enumerate(calls):
            check_call(call, f"calls[{index}]")
        log = ProofLog(Path(module.params["proof_log"]))
        # Programs that follow each other begin at different ports.
        results = make_calls(calls, log, module.params["proof_timeout"], ProofPorts(os.getpid()))
    except PlanError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"The calls could not be made: {error}")
    failed = [f"{result['name']}: {result['reason']}" for result in results if not result["ok"]]
    if failed:
        module.fail_json(
            msg=f"{len(failed)} of {len(results)} calls went otherwise than expected. "
            + " | ".join(failed),
            results=results,
        )
    module.exit_json(changed=False, results=results)


if __name__ == "__main__":
    main()
