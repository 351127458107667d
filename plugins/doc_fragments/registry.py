# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What workload_entry and workload_group have in common, described once."""

from __future__ import annotations


class ModuleDocFragment:
    """The options are those of module_utils/_cluster/registry.py, one to one."""

    DOCUMENTATION = r"""
options:
  namespace:
    description: Namespace of the objects that name none themselves.
    type: str
  state:
    description: Whether the objects are to be there. With V(absent), their names are enough.
    type: str
    choices: [present, absent]
    default: present
  set:
    description:
      - Name of the set that these objects are, written to their label C(hybrid.mesh/set).
    type: str
  prune:
    description:
      - Whether to remove objects that this collection made before for the same O(set) and that are
        no longer given. Looked for in O(namespace) and in the namespaces of the objects.
    type: bool
    default: false
  validate_service_accounts:
    description:
      - Whether an object that names a service account which does not exist is a failure.
      - istiod takes such an object, and no host can ever get a certificate for it.
    type: bool
    default: true
  force_conflicts:
    description:
      - Whether to take over fields that somebody else manages and has set to another value.
      - Without it they are failures that name the field and its manager.
    type: bool
    default: false
  wait:
    description: Whether to wait until the objects are as described below.
    type: bool
    default: false
  wait_timeout:
    description: How long to wait, in seconds.
    type: int
    default: 120
  progress_file:
    description:
      - A file that exists, to which the module appends a line about how far it is, every other
        second.
      - M(hybrid.mesh.workload_entry) shows these lines while it runs, without this option, where it
        runs on the controller and does not become another user.
    type: path
"""
