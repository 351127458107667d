"""The demo's lab, which these tests take out of its mesh."""

from __future__ import annotations

from tests.real.conftest import lab as lab
