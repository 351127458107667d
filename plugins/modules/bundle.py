#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
short_description: Build a relocatable archive of Python packages and programs on the controller
version_added: 0.1.0
description:
  - Installs the wheels of a pip requirements file for the Python and platform of the target hosts,
    adds package directories and start scripts, compiles byte code, and packs the result into one
    archive.
  - A host unpacks it and runs it. It needs no compiler, no package index and no virtual
    environment.
  - The archive is named after a digest of everything that goes into it. The name is known without
    building, also in check mode, and the same inputs are built once.
  - Meant to run on the controller, with C(delegate_to) V(localhost).
extends_documentation_fragment:
  - hybrid.mesh.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: An archive has no readable difference; its name says whether the content is another.
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  name:
    description: Name of the bundle, the first part of the archive's name.
    type: str
    required: true
  version:
    description:
      - Version of what the bundle carries. It opens the name of the directory on the hosts.
    type: str
    required: true
  requirements:
    description:
      - Path of a pip requirements file with every distribution, direct and transitive, pinned.
      - Nothing else is resolved, and only wheels are taken.
    type: path
    required: true
  sources:
    description: Package directories that are copied beside the wheels' packages.
    type: list
    elements: path
    default: []
  library:
    description: Directory of the packages within the bundle. Empty for its top.
    type: str
    default: lib
  programs:
    description: Start scripts, C(bin/<name>) in the bundle.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: File name of the script.
        type: str
        required: true
      entry_point:
        description: Function that it calls, as V(package.module:function).
        type: str
        required: true
  interpreter:
    description: Python of the target hosts that runs the programs.
    type: path
    default: /usr/bin/python3
  python:
    description: Version of that Python, V(MAJOR.MINOR).
    type: str
    required: true
  architecture:
    description: Machine of the target hosts as C(uname -m) names it.
    type: str
    required: true
  glibc:
    description: Version of the C library of the target hosts, V(MAJOR.MINOR).
    type: str
    required: true
  wheelhouse:
    description:
      - Directory with the wheels, for sites without a package index.
      - Without it the index of the controller's own pip configuration is asked.
    type: path
  cache:
    description: Directory of the archives.
    type: path
    default: ~/.cache/hybrid-mesh/bundles
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Build the runtime for a Debian 12 host
  hybrid.mesh.bundle:
    name: runtime
    version: 0.1.0
    requirements: requirements/runtime.txt
    sources:
      - mesh_core
      - mesh_agent
    programs:
      - name: mesh-agent
        entry_point: mesh_agent.cli:main
    python: "3.11"
    architecture: x86_64
    glibc: "2.36"
  delegate_to: localhost
  register: runtime
"""

RETURN = r"""
archive:
  description: Path of the archive on the controller.
  returned: success
  type: str
  sample: /root/.cache/hybrid-mesh/bundles/runtime-0.1.0-5f2a9c1b77d0.tar.gz
directory:
  description: Name of the archive's single top directory, and of the directory on the hosts.
  returned: success
  type: str
  sample: 0.1.0-5f2a9c1b77d0
marker:
  description: File in that directory that is unpacked last. Where it is, the bundle is whole.
  returned: success
  type: str
  sample: manifest.json
version:
  description: The version that was asked for.
  returned: success
  type: str
  sample: 0.1.0
sha256:
  description: Digest of the archive, empty when check mode left it unbuilt.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
compiled:
  description:
    - Whether the bundle holds byte code, that is, whether the controller has the hosts' version of
      Python.
  returned: success
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hybrid.mesh.plugins.module_utils._bundle_build import (
    MANIFEST,
    Builder,
    compiler,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bundle_spec import (
    BundleError,
    BundleSpec,
    Program,
    Target,
)

PROGRAM_OPTIONS = {
    "name": {"type": "str", "required": True},
    "entry_point": {"type": "str", "required": True},
}


def main() -> None:
    """Name the bundle, and build it unless it is there or this is check mode."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "requirements": {"type": "path", "required": True},
            "sources": {"type": "list", "elements": "path", "default": []},
            "library": {"type": "str", "default": "lib"},
            "programs": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": PROGRAM_OPTIONS,
            },
            "interpreter": {"type": "path", "default": "/usr/bin/python3"},
            "python": {"type": "str", "required": True},
            "architecture": {"type": "str", "required": True},
            "glibc": {"type": "str", "required": True},
            "wheelhouse": {"type": "path"},
            "cache": {"type": "path", "default": "~/.cache/hybrid-mesh/bundles"},
        },
        supports_check_mode=True,
    )
    params = module.params
    spec = BundleSpec(
        name=params["name"],
        version=params["version"],
        requirements=params["requirements"],
        target=Target(params["python"], params["architecture"], params["glibc"]),
        interpreter=params["interpreter"],
        library=params["library"],
        sources=tuple(params["sources"]),
        programs=tuple(Program(**program) for program in params["programs"]),
    )
    try:
        builder = Builder(spec, params["cache"], params["wheelhouse"])
        if module.check_mode:
            # For the name alone, which each host asks for: archives are large.
            digest = builder.noted()
            changed = digest is None
        else:
            digest, changed = builder.build()
        compiled = compiler(spec.target.python) is not None
    except (BundleError, OSError) as exc:
        module.fail_json(msg=f"bundle {spec.name} {spec.version}: {exc}")
    module.exit_json(
        changed=changed,
        archive=builder.path,
        directory=builder.directory,
        marker=MANIFEST,
        version=spec.version,
        sha256=digest or "",
        compiled=compiled,
    )


if __name__ == "__main__":
    main()
