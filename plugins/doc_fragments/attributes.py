# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module of the collection says about itself, described once."""

from __future__ import annotations


class ModuleDocFragment:
    """Each module states the support of every attribute, with details where it is not full."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying
      the target.
  diff_mode:
    description: Returns details on what has changed, or would change, when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside of check mode with the same arguments, the second
        invocation indicates no change.
      - This assumes that the system controlled or queried by the module has not changed in a
        relevant way.
  platform:
    description: Target operating system or family that the module supports.
    platforms: posix
    support: full
"""
