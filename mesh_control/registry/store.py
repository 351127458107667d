# SPDX-License-Identifier: Apache-2.0
"""The registry's directory: allocated addresses, and one file for each registered workload."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mesh_control.registry.stored import Registration, from_object
from mesh_core.files import write_atomic

log = logging.getLogger(__name__)

_ADDRESSES = "addresses.json"
_ENTRIES = "workloadentries"
_LONGEST_STEM = 200  # file names end at 255 bytes


class Store:
    """``addresses.json`` and ``workloadentries/NAMESPACE/NAME.json`` below ``directory``.

    What cannot be read is set aside as ``*.unreadable`` and logged: it must not keep the control
    plane from starting, since hosts register again and addresses follow from names.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: dict[str, str] = {}

    def load_addresses(self) -> dict[str, str]:
        """Return the allocated addresses by host."""
        path = self._directory / _ADDRESSES
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {str(host): str(ipaddress.ip_address(a)) for host, a in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError) as error:
            _set_aside(path, error)
            return {}

    def save_addresses(self, addresses: Mapping[str, str]) -> None:
        """Write all addresses. Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(addresses, indent=1, sort_keys=True)
        write_atomic(self._directory / _ADDRESSES, f"{text}\n", 0o600)

    def load_entries(self) -> Iterator[Registration]:
        """Yield the registrations of the last run."""
        for path in sorted((self._directory / _ENTRIES).glob("*/*.json")):
            try:
                yield from_object(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
                _set_aside(path, error)

    def save_entries(self, entries: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Write entries by ``namespace/name``, remove those that are None. Raises OSError."""
        for key, entry in entries.items():
            path = self._path(key)
            if entry is None:
                path.unlink(missing_ok=True)
                self._written.pop(key, None)
                continue
            text = f"{json.dumps(entry, indent=1, sort_keys=True)}\n"
            if self._written.get(key) != text:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_atomic(path, text, 0o600)
                self._written[key] = text

    def _path(self, key: str) -> Path:
        namespace, _unused, name = key.partition("/")
        if len(name) > _LONGEST_STEM:
            name = f"{name[-_LONGEST_STEM:]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return self._directory / _ENTRIES / namespace / f"{name}.json"


def _set_aside(path: Path, error: Exception) -> None:
    log.error("%s: cannot be read and is set aside: %s", path, error)
    try:
        path.replace(path.with_name(f"{path.name}.unreadable"))
    except OSError as failure:
        log.error("%s: cannot be set aside: %s", path, failure)
