# SPDX-License-Identifier: Apache-2.0
"""``python -m mesh_agent``: the same as ``mesh-agent``."""

from __future__ import annotations

from mesh_agent.cli import main

if __name__ == "__main__":
    main()
