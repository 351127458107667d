# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Whether answers are spread over their sources as weights say."""

from __future__ import annotations

import math
import typing as t

#: A share may be this many standard deviations off before it counts as wrong: fair weights
#: miss it once in 15,000 runs.
_DEVIATIONS = 4.0
#: A count is large enough when fair weights leave a value out once in 10,000 runs.
_ABSENCE = 1e-4


def spread_fault(weights: t.Mapping[str, float], answers: t.Mapping[str, int], count: int) -> str:
    """Empty if the answers are as spread as fair weights make them."""
    if not weights:
        return ""
    found = ", ".join(f"{value} {number}" for value, number in answers.items()) or "none"
    whole = sum(weights.values())
    for value, weight in weights.items():
        share = weight / whole
        slack = _DEVIATIONS * math.sqrt(count * share * (1 - share))
        number = answers.get(value, 0)
        if number == 0 or abs(number - count * share) > slack:
            return (
                f"{value} gave {number} of {count} answers, expected about"
                f" {count * share:.0f} (found: {found})"
            )
    strangers = sorted(set(answers) - set(weights))
    if strangers:
        return f"{strangers[0]} gave {answers[strangers[0]]} of {count} answers, expected none"
    return ""


def needed_count(weights: t.Mapping[str, float]) -> int:
    """Calls that it takes to see the smallest weight at all, luck aside."""
    whole = sum(weights.values())
    smallest = min(weights.values()) / whole
    return 1 if smallest >= 1 else math.ceil(math.log(_ABSENCE) / math.log(1 - smallest))
