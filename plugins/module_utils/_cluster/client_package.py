# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Access as the package ``kubernetes`` reads it: exec plugins, OIDC, a pod's own account.

Imported when it is needed, because that takes as long as a hundred requests.
"""

from __future__ import annotations

import logging
import os
import typing as t

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.access import Access, pem
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError


def missing() -> ClusterError:
    """The error for a Python without the package."""
    return ClusterError(missing_required_lib("kubernetes"))


def in_cluster() -> Access:
    """The service account of the pod that this runs in."""
    try:
        from kubernetes.client import Configuration
        from kubernetes.config import ConfigException, load_incluster_config
    except ImportError as exc:
        raise missing() from exc
    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)
    except ConfigException as exc:
        raise ClusterError(
            "no access to a cluster: expected the option kubeconfig or host, KUBECONFIG in the "
            f"environment, a file ~/.kube/config, or a pod's service account ({exc})"
        ) from exc
    return _access(configuration, "service account of this pod")


def read(
    source: list[str] | dict[str, t.Any], context: str, origin: str, *, persist: bool = False
) -> Access:
    """A context of kubeconfig files, or of the content of one.

    With ``persist``, tokens that had to be refreshed are kept in their file.
    """
    try:
        from kubernetes.client import Configuration
        from kubernetes.config import ConfigException, kube_config
    except ImportError as exc:
        raise missing() from exc
    configuration = Configuration(host="")
    keep = None
    with _Complaints() as complaints:
        try:
            if isinstance(source, list):
                merged = kube_config.KubeConfigMerger(os.pathsep.join(source))
                source, keep = merged.config, merged.save_changes if persist else None
            loader = kube_config.KubeConfigLoader(
                config_dict=source,
                active_context=context,
                config_base_path=None,
                config_persister=keep,
            )
            loader.load_and_set(configuration)
        except (ConfigException, KeyError, TypeError, ValueError, OSError) as exc:
            raise ClusterError(f"{origin}: {exc}") from exc
    if complaints.lines:
        raise ClusterError(f"{origin}: no credentials: {'; '.join(complaints.lines)}")
    return _access(configuration, origin)


def _access(found: t.Any, origin: str) -> Access:
    return Access(
        server=found.host,
        ca_cert=pem(found.ssl_ca_cert, f"{origin}: certificate-authority"),
        client_cert=pem(found.cert_file, f"{origin}: client-certificate"),
        client_key=pem(found.key_file, f"{origin}: client-key"),
        server_name=found.tls_server_name or "",
        verify=found.verify_ssl,
        proxy=found.proxy or "",
        # Asked for each request: what a plugin gave may have expired.
        authorization=lambda: found.get_api_key_with_prefix("BearerToken", alias="authorization"),
    )


class _Complaints(logging.Handler):
    """The package logs that an exec plugin failed, and goes on without credentials."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> _Complaints:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        logging.getLogger().removeHandler(self)
