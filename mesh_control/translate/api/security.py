# SPDX-License-Identifier: Apache-2.0
"""security.istio.io PeerAuthentication and AuthorizationPolicy.

All strict: an authorization rule without the condition that is not understood would match more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mesh_control.translate.api.reader import Strict
from mesh_control.translate.api.values import Cidr

_KEYS = (
    "source.ip",
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "destination.ip",
    "destination.port",
    "connection.sni",
)


def _expect_ports(values: tuple[str, ...]) -> None:
    for value in values:
        if not value.isdecimal() or int(value) > 65535:
            raise ValueError(f"ports: expected 0 to 65535, found {value!r}")


class PeerMode(StrEnum):
    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


class Action(StrEnum):
    ALLOW = "ALLOW"
    DENY = "DENY"


@dataclass(frozen=True, slots=True)
class Selector(Strict):
    match_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mtls(Strict):
    mode: PeerMode = PeerMode.UNSET


@dataclass(frozen=True, slots=True)
class PeerAuthentication(Strict):
    selector: Selector = Selector()
    mtls: Mtls = Mtls()
    port_level_mtls: Mapping[int, Mtls] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source(Strict):
    principals: tuple[str, ...] = ()
    not_principals: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    not_service_accounts: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    ip_blocks: tuple[Cidr, ...] = ()
    not_ip_blocks: tuple[Cidr, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation(Strict):
    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    not_ports: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _expect_ports(self.ports + self.not_ports)


@dataclass(frozen=True, slots=True)
class From(Strict):
    source: Source = Source()


@dataclass(frozen=True, slots=True)
class To(Strict):
    operation: Operation = Operation()


@dataclass(frozen=True, slots=True)
class Condition(Strict):
    key: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.key not in _KEYS and not (
            self.key.startswith("request.headers[") and self.key.endswith("]")
        ):
            keys = ", ".join((*_KEYS, "request.headers[NAME]"))
            raise ValueError(
                f"key: expected one of {keys} (others are not supported yet), found {self.key!r}"
            )
        given = self.values + self.not_values
        if not given:
            raise ValueError("expected values or notValues")
        if self.key == "destination.port":
            _expect_ports(given)
        if self.key in ("source.ip", "destination.ip"):
            for value in given:
                try:
                    Cidr.parse(value)
                except ValueError as error:
                    raise ValueError(f"values: expected {error}, found {value!r}") from error


@dataclass(frozen=True, slots=True)
class Rule(Strict):
    from_: tuple[From, ...] = ()
    to: tuple[To, ...] = ()
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorizationPolicy(Strict):
    selector: Selector = Selector()
    action: Action = Action.ALLOW
    rules: tuple[Rule, ...] = ()
