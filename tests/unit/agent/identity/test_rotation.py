# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mesh_agent.identity.rotation import renew_at

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def at(life: float, ratio: float, jitter: float = 0.0) -> float:
    end = NOW + timedelta(seconds=life)
    return (renew_at(NOW, end, ratio=ratio, jitter=jitter) - NOW).total_seconds()


@pytest.mark.parametrize(
    ("life", "ratio", "jitter", "expected"),
    [
        (100, 0.5, 0.0, 50),
        (100, 0.5, 0.1, 60),
        (100, 0.5, -0.1, 40),
        (100, 0.8, 0.5, 100),  # never after the end
        (100, 0.2, -0.5, 0),  # never before the beginning
        (0, 0.5, 0.0, 0),
        (-30, 0.5, 0.1, 0),  # over already: at once
    ],
)
def test_a_share_of_the_life_that_the_host_had(
    life: float, ratio: float, jitter: float, expected: float
) -> None:
    assert at(life, ratio, jitter) == pytest.approx(expected)
