# SPDX-License-Identifier: Apache-2.0
"""Access logs: the proof that verify reads, and standard output that Envoy may write to. Pure."""

from __future__ import annotations

from typing import Any, Final

from mesh_agent.adapt import words
from mesh_agent.adapt.abilities import type_of
from mesh_agent.adapt.views import AccessLog, ExpressionFilter, FileAccessLog, StdoutAccessLog
from mesh_core import proof

_STDOUT: Final = "/dev/stdout"


def add_proof(logs: Any) -> None:
    """Add the log of calls from proof ports, unless it is there."""
    if not any(_is_proof(log.typed_config) for log in logs):
        logs.append(_proof())


def to_stdout(logs: Any) -> None:
    """Have logs to the file /dev/stdout written to standard output itself.

    Under systemd Envoy's user may not open that file again, and Envoy would refuse the listener.
    """
    for log in logs:
        if type_of(log.typed_config) != words.FILE_LOG:
            continue
        file = FileAccessLog.FromString(log.typed_config.value)
        older = file.format or file.HasField("json_format") or file.HasField("typed_json_format")
        if file.path != _STDOUT or older:
            continue
        stdout = StdoutAccessLog()
        if file.HasField("log_format"):
            stdout.log_format.CopyFrom(file.log_format)
        log.name = "envoy.access_loggers.stdout"
        words.fill(log.typed_config, words.STDOUT_LOG, stdout)


def _is_proof(config: Any) -> bool:
    if type_of(config) != words.FILE_LOG:
        return False
    return bool(FileAccessLog.FromString(config.value).path == proof.FILE)


def _proof() -> Any:
    result = AccessLog(name="envoy.access_loggers.file")
    condition = result.filter.extension_filter
    condition.name = "envoy.access_loggers.extension_filters.cel"
    words.fill(condition.typed_config, words.CEL_FILTER, ExpressionFilter(expression=proof.FILTER))
    file = FileAccessLog(path=proof.FILE)
    file.log_format.json_format.update(proof.FIELDS)
    words.fill(result.typed_config, words.FILE_LOG, file)
    return result
