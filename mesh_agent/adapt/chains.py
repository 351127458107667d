# SPDX-License-Identifier: Apache-2.0
"""A listener for an Envoy without Istio's extensions. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from mesh_agent.adapt import words
from mesh_agent.adapt.abilities import Abilities, Workload, type_of
from mesh_agent.adapt.clusters import drop_protocol
from mesh_agent.adapt.exchange import Wanted, stand_in
from mesh_agent.adapt.logs import add_proof, to_stdout
from mesh_agent.adapt.metrics import (
    LOGGER,
    Reporter,
    http_loggers,
    not_when_connected,
    tcp_loggers,
)
from mesh_agent.adapt.overrides import overrides_of
from mesh_agent.adapt.views import (
    DownstreamTlsContext,
    FilterState,
    HttpConnectionManager,
    Listener,
    PluginConfig,
    TcpProxy,
)

_INBOUND, _OUTBOUND = 1, 2
_APPLICATION_PROTOCOLS: Final = "envoy.network.application_protocols"
_SHARED_ONCE: Final = 1
# There are a few, until an operator changes Telemetry again and again.
_MOST_LOGGERS: Final = 32
_OFFER: Final = (
    f"%CEL(xds.cluster_metadata.filter_metadata['{words.METADATA}'].alpn[request.protocol])%"
)


@dataclass(frozen=True, slots=True)
class _Found:
    """What Istio's filters of one chain ask for: ``stats`` is a PluginConfig of istio.stats,
    ``callers`` says that callers tell who they are."""

    stats: bytes = b""
    callers: bool = False


class ListenerAdapter:
    """Fits listeners to one Envoy on one host.

    ``ignored`` says what was asked for and cannot be done, in the order in which it was found.
    """

    def __init__(self, abilities: Abilities, workload: Workload) -> None:
        self._abilities = abilities
        self._workload = workload
        self._counts = abilities.has(words.STATS_LOG) and not abilities.has(words.STATS)
        self._stdout = abilities.has(words.STDOUT_LOG)
        self._offers = abilities.has(words.FILTER_STATE)
        self._proves = (
            workload.kind == "sidecar"
            and abilities.has(words.FILE_LOG)
            and abilities.has(words.CEL_FILTER)
        )
        self._loggers: dict[tuple[Reporter, bool, _Found], list[Any]] = {}
        self._exchanges: dict[Wanted, Any | None] = {}
        self.ignored: dict[str, None] = {}

    def adapt(self, body: bytes) -> bytes:
        """Return the listener fitted."""
        listener = Listener.FromString(body)
        self._strip(listener.listener_filters)
        if self._stdout:
            to_stdout(listener.access_log)
        for chain in _chains(listener):
            self._chain(chain, listener.traffic_direction)
        return bytes(listener.SerializeToString())

    def _chain(self, chain: Any, direction: int) -> None:
        found = self._strip(chain.filters)
        for each in chain.filters:
            kind = type_of(each.typed_config)
            if kind == words.HTTP_MANAGER:
                self._manager(each.typed_config, direction)
            elif kind == words.TCP_PROXY:
                self._proxy(each.typed_config, direction, found)
        if chain.HasField("transport_socket"):
            self._socket(chain.transport_socket)

    def _manager(self, packed: Any, direction: int) -> None:
        manager = HttpConnectionManager.FromString(packed.value)
        found = self._strip(manager.http_filters)
        self._write_down(manager.access_log, direction)
        if self._counts and not _counted(manager.access_log):
            manager.access_log.extend(self._metrics(direction, True, found))
        packed.value = manager.SerializeToString()

    def _proxy(self, packed: Any, direction: int, found: _Found) -> None:
        proxy = TcpProxy.FromString(packed.value)
        self._write_down(proxy.access_log, direction)
        if self._counts and not _counted(proxy.access_log):
            loggers = self._metrics(direction, False, found)
            if loggers and not _told_of_connections(proxy):
                for log in proxy.access_log:
                    not_when_connected(log)
                _tell_of_connections(proxy)
            proxy.access_log.extend(loggers)
        packed.value = proxy.SerializeToString()

    def _write_down(self, logs: Any, direction: int) -> None:
        if self._stdout:
            to_stdout(logs)
        if self._proves and direction == _OUTBOUND:
            add_proof(logs)

    def _metrics(self, direction: int, http: bool, found: _Found) -> list[Any]:
        reporter: Reporter = "destination" if direction == _INBOUND else "source"
        key = (reporter, http, found)
        if key not in self._loggers:
            overrides = overrides_of(PluginConfig.FromString(found.stats))
            self.ignored.update(dict.fromkeys(overrides.ignored))
            if len(self._loggers) == _MOST_LOGGERS:
                self._loggers.clear()
            self._loggers[key] = (
                http_loggers(self._workload, reporter, overrides, caller=found.callers)
                if http
                else tcp_loggers(self._workload, reporter, overrides)
            )
        return self._loggers[key]

    def _strip(self, filters: Any) -> _Found:
        """Take out what Envoy lacks, or put its own in the place; return what was asked for."""
        found, changed, kept = _Found(), False, []
        for each in filters:
            kind = type_of(each.typed_config)
            if kind not in words.ISTIOS or self._abilities.has(kind, each.name):
                kept.append(each)
                continue
            changed = True
            if kind == words.STATS:
                found = replace(found, stats=each.typed_config.value)
            elif kind == words.ALPN and self._offers:
                words.fill(each.typed_config, words.FILTER_STATE, _offer())
                kept.append(each)
            elif kind == words.HTTP_EXCHANGE:
                wanted = Wanted.of(each.typed_config)
                if config := self._exchange(wanted):
                    found = replace(found, callers=wanted.callers)
                    each.typed_config.CopyFrom(config)
                    kept.append(each)
        if changed:
            kept = [_copy(each) for each in kept]
            del filters[:]
            filters.extend(kept)
        return found

    def _exchange(self, wanted: Wanted) -> Any | None:
        if wanted not in self._exchanges:
            self._exchanges[wanted] = stand_in(self._workload, self._abilities, wanted)
        return self._exchanges[wanted]

    def _socket(self, socket: Any) -> None:
        packed = socket.typed_config
        if (
            type_of(packed) != words.DOWNSTREAM_TLS
            or words.PEER_EXCHANGE.encode() not in packed.value
            or self._abilities.has(words.TCP_EXCHANGE)
        ):
            return
        tls = DownstreamTlsContext.FromString(packed.value)
        drop_protocol(tls.common_tls_context)
        packed.value = tls.SerializeToString()


def _chains(listener: Any) -> Iterator[Any]:
    yield from listener.filter_chains
    if listener.HasField("default_filter_chain"):
        yield listener.default_filter_chain


def _copy(message: Any) -> Any:
    result = type(message)()
    result.CopyFrom(message)
    return result


def _offer() -> Any:
    state = FilterState()
    value = state.on_request_headers.add(
        object_key=_APPLICATION_PROTOCOLS, shared_with_upstream=_SHARED_ONCE, skip_if_empty=True
    )
    value.format_string.omit_empty_values = True
    value.format_string.text_format_source.inline_string = _OFFER
    return state


def _counted(logs: Any) -> bool:
    return any(log.name == LOGGER for log in logs)


def _told_of_connections(proxy: Any) -> bool:
    return bool(
        proxy.flush_access_log_on_connected
        or proxy.access_log_options.flush_access_log_on_connected
    )


def _tell_of_connections(proxy: Any) -> None:
    # Envoy takes the older fields or the newer message, never both.
    if proxy.HasField("access_log_flush_interval"):
        proxy.flush_access_log_on_connected = True
    else:
        proxy.access_log_options.flush_access_log_on_connected = True
