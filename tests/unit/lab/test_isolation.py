# SPDX-License-Identifier: Apache-2.0
"""The rules between a lab's networks."""

from __future__ import annotations

from lab.isolation import rules


def test_nothing_passes_between_two_bridges_in_either_direction() -> None:
    text = rules("mesh-lab", ["br1", "br2"])
    assert text.startswith(
        "add table inet hybrid_mesh_lab_mesh_lab\ndelete table inet hybrid_mesh_lab_mesh_lab\n"
    )
    assert 'iifname "br1" oifname "br2" drop' in text
    assert 'iifname "br2" oifname "br1" drop' in text
    assert text.count(" drop") == 2


def test_one_network_needs_no_rule() -> None:
    assert " drop" not in rules("one", ["br1"])
