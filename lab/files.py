# SPDX-License-Identifier: Apache-2.0
"""What is laid into a new host before its first boot: its difference to the image. Pure."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass

from lab.spec import Address, Host, Lab

DOMAIN = "lab.example"
UNITS = {
    "web": ("nginx.service",),
    "api": ("shop-api.service",),
    "db": ("postgresql.service",),
    "none": (),
}
# Where the image keeps the units that it does not enable itself.
UNIT_DIRECTORIES = {"shop-api.service": "/etc/systemd/system"}


@dataclass(frozen=True, slots=True)
class File:
    """A file (content), or a symbolic link (target), by its path without the leading slash."""

    path: str
    content: str = ""
    mode: int = 0o644
    target: str | None = None


def host_files(lab: Lab, host: Host, public_key: str) -> list[File]:
    """The files of one host: who may log in, its names and resolver, its workload."""
    files = [
        File("root/.ssh/authorized_keys", public_key, 0o600),
        File("etc/hosts", _hosts_file(host)),
        File("etc/resolv.conf", f"search {DOMAIN}\nnameserver {host.nameserver}\n"),
        File("etc/shop/environment", "".join(f"{k}={v}\n" for k, v in host.environment)),
    ]
    units = UNITS[host.workload]
    if host.nameserver in host.addresses:
        files.append(File("etc/dnsmasq.d/lab.conf", _resolver(lab, host)))
        units = (*units, "dnsmasq.service")
    return files + [enabled(unit) for unit in units]


def archive(files: list[File], *, time: int) -> bytes:
    """The files as a tar archive, owned by root, modified at `time` (seconds since the epoch)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            entry = tarfile.TarInfo(file.path)
            entry.mode, entry.mtime = file.mode, time
            if file.target is not None:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.target
                tar.addfile(entry)
                continue
            data = file.content.encode()
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def enabled(unit: str) -> File:
    """The link that starts a unit at boot."""
    directory = UNIT_DIRECTORIES.get(unit, "/lib/systemd/system")
    return File(f"etc/systemd/system/multi-user.target.wants/{unit}", target=f"{directory}/{unit}")


def _hosts_file(host: Host) -> str:
    own = "".join(f"{address} {host.name}.{DOMAIN} {host.name}\n" for address in host.addresses)
    return f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{own}"


def _resolver(lab: Lab, host: Host) -> str:
    """dnsmasq's configuration: the lab's names alone, so that no test depends on the outside."""

    def record(name: str, address: Address) -> str:
        return f"host-record={name}.{DOMAIN},{address}\n"

    listen = ",".join(map(str, host.addresses))
    head = f"no-resolv\nno-hosts\nbind-interfaces\nlisten-address={listen}\nlocal=/{DOMAIN}/\n"
    return head + "".join(record(other.name, a) for other in lab.hosts for a in other.addresses)
