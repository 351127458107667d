# SPDX-License-Identifier: Apache-2.0
"""A state-of-the-world stream of Envoy, carried as it is but for what Envoy lacks.

Envoy is configured for delta; this is for an Envoy that is not. It ends when its upstream stream
ends, or when another one is wanted, and Envoy keeps what it has and tries again.
"""

from __future__ import annotations

import asyncio

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_agent.adapt.adapter import Adapter
from mesh_agent.adapt.views import Named
from mesh_agent.relay.companion import Companion
from mesh_agent.relay.dialect import Sotw
from mesh_agent.relay.fit import fit, opens
from mesh_agent.relay.inbound import Inbound
from mesh_agent.relay.record import Record
from mesh_agent.relay.upstream import (
    PATIENT_SECONDS,
    Connector,
    Upstream,
    UpstreamError,
    first_of,
)
from mesh_core.wire import types
from mesh_core.wire.rpc import BytesStream


class SotwSession:
    """Serves ``stream`` until either side ends it, or ``inbound``, which outlives it, is missed."""

    def __init__(
        self,
        stream: BytesStream,
        connector: Connector,
        companion: Companion,
        record: Record,
        inbound: Inbound,
    ) -> None:
        self._stream = stream
        self._connector = connector
        self._companion = companion
        self._record = record
        self._inbound = inbound
        self._begins_anew = False
        self._upstream: Upstream | None = None
        self._adapter: Adapter | None = None
        self._introduced = False
        self._listening = False

    async def run(self) -> None:
        """Carry messages; GRPCError UNAVAILABLE without a control plane, or to begin anew."""
        problem = ""
        for endpoint in self._connector.endpoints:
            deadline = asyncio.get_running_loop().time() + PATIENT_SECONDS
            try:
                async with self._connector.open(Sotw.path, endpoint, deadline) as upstream:
                    self._upstream = upstream
                    self._inbound.begin()
                    await first_of(
                        self._requests(upstream), self._responses(upstream), self._overdue()
                    )
                if not self._begins_anew:
                    return
                problem = "inbound clusters are missing: begin anew"
            except UpstreamError as error:
                problem = str(error)
                self._record.lost(problem, cached=False)
            if self._upstream:
                break  # Envoy's first requests are gone: it has to begin again
        raise GRPCError(Status.UNAVAILABLE, problem)

    def report_health(self) -> None:
        """Report the application's health, if Envoy has listeners and there is someone to tell."""
        if self._upstream and self._listening and (report := self._companion.health_report(Sotw)):
            self._upstream.send(report)

    async def _overdue(self) -> None:
        await self._inbound.overdue()
        self._begins_anew = True

    async def _requests(self, upstream: Upstream) -> None:
        async for message in self._stream:
            request = Sotw.read_request(message)
            self._record.counts.requests[types.short(request.type_url)] += 1
            if request.HasField("node"):
                self._adapter = Adapter.of(request.node)
                self._inbound.meet(request.node)
            if request.HasField("error_detail"):
                self._record.refused(
                    request.type_url, request.resource_names, request.error_detail.message
                )
            elif request.response_nonce:
                self._record.accepted(request.type_url, request.resource_names)
            upstream.send(message)
            if request.type_url == types.LISTENER:
                self._asked_for_listeners(upstream, accepts=bool(request.version_info))

    def _asked_for_listeners(self, upstream: Upstream, *, accepts: bool) -> None:
        if not self._introduced:
            self._introduced = True
            for message in self._companion.introduction(Sotw):
                upstream.send(message)
        if accepts and not self._listening:
            self._listening = True
            self.report_health()

    async def _responses(self, upstream: Upstream) -> None:
        while True:
            message = await upstream.receive()
            self._record.connected(str(upstream.endpoint))
            response = Sotw.read_response(message)
            self._record.counts.responses[types.short(response.type_url)] += 1
            if response.type_url == types.NAME_TABLE:
                upstream.send(self._companion.hear(Sotw, response))
                continue
            if response.type_url == types.CLUSTER:
                self._inbound.hear(Named.FromString(each.value).name for each in response.resources)
            if self._adapter and opens(self._adapter, response.type_url):
                await fit(self._adapter, response.type_url, response.resources)
                message = response.SerializeToString()
            await self._stream.send_message(message)
