# SPDX-License-Identifier: Apache-2.0
"""When to renew a certificate. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta


def renew_at(received: datetime, not_after: datetime, *, ratio: float, jitter: float) -> datetime:
    """Return the moment to renew at: ``ratio`` + ``jitter`` of the life that the host had of it.

    The life counts from ``received``, not from the certificate's notBefore, which authorities
    backdate for hosts whose clock is behind; it ends at ``not_after``, which may be earlier than
    asked for. ``jitter`` is a number that the caller drew for this certificate, so that hosts
    that joined together do not renew together. ``received`` is returned for a life that is over.
    """
    life = max(not_after - received, timedelta(0))
    return received + life * min(1.0, max(0.0, ratio + jitter))
