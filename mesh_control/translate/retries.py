# SPDX-License-Identifier: Apache-2.0
"""Retries of HTTP requests."""

from __future__ import annotations

from typing import Final

from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2

from mesh_control.translate.api.virtual_service import Retries
from mesh_control.translate.wire import duration, pack, u32

_RETRIABLE: Final = "retriable-status-codes"
_DEFAULT: Final = f"connect-failure,refused-stream,unavailable,cancelled,{_RETRIABLE},503"


def retry_policy(retries: Retries | None) -> route_components_pb2.RetryPolicy | None:
    """Return the policy; two more attempts by default, on other hosts; None: no retries.

    A number in ``retryOn`` is a status code.
    """
    if retries is None:
        retries = Retries(attempts=2)
    if retries.attempts <= 0:
        return None
    words = [word.strip() for word in (retries.retry_on or _DEFAULT).split(",")]
    codes = [int(word) for word in words if word.isdecimal()]
    conditions = [word for word in words if word and not word.isdecimal()]
    if codes and _RETRIABLE not in conditions:
        conditions.append(_RETRIABLE)
    result = route_components_pb2.RetryPolicy(
        num_retries=u32(retries.attempts),
        retry_on=",".join(conditions),
        retriable_status_codes=codes,
        host_selection_retry_max_attempts=5,
    )
    if retries.retry_ignore_previous_hosts:
        result.retry_host_predicate.add(
            name="envoy.retry_host_predicates.previous_hosts",
            typed_config=pack(previous_hosts_pb2.PreviousHostsPredicate()),
        )
    if retries.per_try_timeout is not None:
        result.per_try_timeout.CopyFrom(duration(retries.per_try_timeout))
    if retries.backoff is not None:
        result.retry_back_off.base_interval.CopyFrom(duration(retries.backoff))
    return result
