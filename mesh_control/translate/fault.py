# SPDX-License-Identifier: Apache-2.0
"""Faults put in on purpose."""

from __future__ import annotations

from envoy.extensions.filters.common.fault.v3 import fault_pb2 as common_fault_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.type.v3 import percent_pb2

from mesh_control.translate.api.virtual_service import Fault, Percent
from mesh_control.translate.wire import duration


def fault(wanted: Fault) -> fault_pb2.HTTPFault:
    """Return a route's delays and aborts."""
    result = fault_pb2.HTTPFault()
    if wanted.delay is not None:
        result.delay.CopyFrom(
            common_fault_pb2.FaultDelay(
                fixed_delay=duration(wanted.delay.fixed_delay),
                percentage=_fraction(wanted.delay.percentage),
            )
        )
    if wanted.abort is not None:
        result.abort.CopyFrom(
            fault_pb2.FaultAbort(
                http_status=wanted.abort.http_status,
                percentage=_fraction(wanted.abort.percentage),
            )
        )
    return result


def _fraction(percent: Percent) -> percent_pb2.FractionalPercent:
    return percent_pb2.FractionalPercent(
        numerator=int(percent.value * 10_000),
        denominator=percent_pb2.FractionalPercent.MILLION,
    )
