# SPDX-License-Identifier: Apache-2.0
"""YAML to plain data, with duplicate keys refused."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from mesh_core.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error, as its first value would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _unused in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, Hashable) else id(key_node))
        return super().construct_mapping(node, deep)


def documents(text: str, where: str) -> list[object]:
    """Return the documents of a YAML text; ConfigError names ``where`` and the line."""
    try:
        found = list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{where}{line}", f"not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(where, f"not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(where, "is nested too deeply") from error
    except ValueError as error:  # such as a number of very many digits
        raise ConfigError(where, f"a value cannot be read: {error}") from error
    return [document for document in found if document is not None]
