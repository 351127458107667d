# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Plain data as YAML that a person reads: a document for each value, long texts as blocks."""

from __future__ import annotations

import json
import typing as t

import yaml


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key, texts of several lines as literal blocks, no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: t.Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    style = "|" if "\n" in data else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _text)


def to_documents(values: t.Iterable[t.Any]) -> str:
    """The values as YAML documents in the keys' own order, separated by ``---``.

    They pass through JSON first: values of a playbook carry tags that mean nothing in a file.
    """
    plain = [json.loads(json.dumps(value)) for value in values]
    return "---\n".join(
        yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=100) for value in plain
    )
