# SPDX-License-Identifier: Apache-2.0
"""Selecting by labels without looking at everything. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from mesh_control.model import Labels

T = TypeVar("T")


class Index(Generic[T]):
    """Things with labels, by namespace and label."""

    def __init__(self, items: Iterable[tuple[str, Labels, T]]) -> None:
        """Take (namespace, labels, thing); what is selected keeps their order."""
        self._by_label: dict[tuple[str, str, str], list[tuple[Labels, T]]] = {}
        for namespace, labels, item in items:
            for label, value in labels.items():
                self._by_label.setdefault((namespace, label, value), []).append((labels, item))

    def select(self, namespace: str, selector: Labels) -> list[T]:
        """Return what has all of the labels; an empty selector selects nothing."""
        if not selector:
            return []
        candidates = [self._by_label.get((namespace, k, v), []) for k, v in selector.items()]
        return [
            item
            for labels, item in min(candidates, key=len)
            if all(labels.get(key) == value for key, value in selector.items())
        ]
