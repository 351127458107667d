# SPDX-License-Identifier: Apache-2.0
"""Access logs: the proof that verify reads, and the one that MeshConfig asks for."""

from __future__ import annotations

from typing import Final

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import base_pb2, substitution_format_string_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.access_loggers.stream.v3 import stream_pb2

from mesh_control.translate.wire import pack, struct
from mesh_core import proof as proof_log

PROOF_FILE: Final = proof_log.FILE
_TEXT: Final = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" '
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% '
    '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% '
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
_STDOUT: Final = "/dev/stdout"


def proof() -> accesslog_pb2.AccessLog:
    """Return the log of calls from proof ports: one JSON line each, with the peer's certificate."""
    return accesslog_pb2.AccessLog(
        name="envoy.access_loggers.file",
        filter=accesslog_pb2.AccessLogFilter(
            extension_filter=accesslog_pb2.ExtensionFilter(
                name="envoy.access_loggers.extension_filters.cel",
                typed_config=pack(cel_pb2.ExpressionFilter(expression=proof_log.FILTER)),
            )
        ),
        typed_config=pack(
            file_pb2.FileAccessLog(
                path=PROOF_FILE,
                log_format=substitution_format_string_pb2.SubstitutionFormatString(
                    json_format=struct(proof_log.FIELDS)
                ),
            )
        ),
    )


def configured(path: str) -> list[accesslog_pb2.AccessLog]:
    """Return MeshConfig's ``accessLogFile`` in Istio's text format; none without a path."""
    if not path:
        return []
    log_format = substitution_format_string_pb2.SubstitutionFormatString(
        text_format_source=base_pb2.DataSource(inline_string=_TEXT)
    )
    if path == _STDOUT:
        # As a file, it could not be opened again by Envoy's user under systemd.
        config, name = stream_pb2.StdoutAccessLog(log_format=log_format), "stdout"
    else:
        config, name = file_pb2.FileAccessLog(path=path, log_format=log_format), "file"
    return [accesslog_pb2.AccessLog(name=f"envoy.access_loggers.{name}", typed_config=pack(config))]
