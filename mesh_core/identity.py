# SPDX-License-Identifier: Apache-2.0
"""SPIFFE identities in Istio's form: ``spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(
    r"spiffe://(?P<td>[a-z0-9._-]{1,255})/ns/(?P<ns>[A-Za-z0-9._-]+)/sa/(?P<sa>[A-Za-z0-9._-]+)"
)


@dataclass(frozen=True, slots=True, order=True)
class SpiffeId:
    """Who a workload is. ``str()`` gives the URI that stands in its certificate."""

    trust_domain: str
    namespace: str
    service_account: str

    def __str__(self) -> str:
        return f"spiffe://{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"

    @classmethod
    def parse(cls, uri: str) -> SpiffeId:
        """Read the URI form; ValueError says what was expected."""
        found = _FORM.fullmatch(uri)
        if not found:
            raise ValueError(f"expected spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT, got {uri!r}")
        return cls(found["td"], found["ns"], found["sa"])
