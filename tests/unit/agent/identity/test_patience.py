# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from mesh_agent.identity.patience import Patience


def waits(patience: Patience, *answers: bool) -> list[float]:
    """The longest that each wait may be, told by many that are cut at random."""
    return [patience.next(exhausted=exhausted) for exhausted in answers]


@pytest.mark.parametrize(
    ("answers", "longest"),
    [
        ((False,) * 6, (0.2, 0.4, 0.8, 1.6, 3.0, 3.0)),
        ((True,) * 4, (1.0, 2.0, 3.0, 3.0)),
        ((False, False, True, False), (0.2, 0.4, 1.0, 2.0)),
        ((False, False, False, False, True), (0.2, 0.4, 0.8, 1.6, 3.0)),  # never shorter
    ],
)
def test_waits_grow_and_begin_later_when_there_are_too_many(
    answers: tuple[bool, ...], longest: tuple[float, ...]
) -> None:
    for _ in range(20):
        for wait, most in zip(waits(Patience(3.0), *answers), longest, strict=True):
            assert most / 2 <= wait <= most


def test_no_two_wait_alike() -> None:
    assert len({waits(Patience(3.0), True)[0] for _ in range(20)}) > 1


def test_a_success_begins_anew() -> None:
    patience = Patience(3.0)
    waits(patience, True, True)
    patience.reset()
    assert waits(patience, False)[0] <= 0.2
