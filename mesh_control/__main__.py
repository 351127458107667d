# SPDX-License-Identifier: Apache-2.0
"""``python -m mesh_control``."""

from __future__ import annotations

import sys

from mesh_control.cli import main

sys.exit(main())
