# SPDX-License-Identifier: Apache-2.0
"""Whether Envoy's log formatter takes an expression of CEL that was written for Istio. Pure.

Istio leaves out an expression that it cannot read, Envoy refuses the whole listener. And Envoy's
formatter knows less of CEL: no macros, no sums of strings, few functions, nothing that Istio's own
filters leave behind. So only what surely works passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"\\]|\\["\\'nrt])*"|'(?:[^'\\]|\\["\\'nrt])*')
    |(?P<number>\d{1,18}(?!\d)(?:u|\.\d+)?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>\|\||&&|[<>=!]=|[<>!?:.,()\[\]-])
    )""",
    re.VERBOSE | re.ASCII,
)
_PATTERN: Final = re.compile(r"(?!.*(?:\(\?|[*+?]\+|\[:))[\w ./:^$*+?|()\[\]@,=&~-]*", re.ASCII)
_ROOTS: Final = frozenset(
    {
        *("request", "response", "source", "destination", "connection", "upstream"),
        *("metadata", "filter_state", "upstream_filter_state", "xds", "true", "false", "null"),
    }
)
_CONSTANTS: Final = frozenset({"true", "false", "null"})
_FUNCTIONS: Final = {"size": 1}
_METHODS: Final = {"contains": 1, "startsWith": 1, "endsWith": 1, "matches": 1, "size": 0}
_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
# What Istio's filters leave for each other.
_PEERS: Final = re.compile(r"\b(?:down|up)stream_peer(?:_obj)?\b")
_LONGEST: Final = 1000
# Of 32 that Envoy's parser takes; it nests where the text has a chain.
_DEEPEST: Final = 20
# Envoy takes programs of 100 instructions: about one for each character, and the anchors.
_LONGEST_PATTERN: Final = 90
_MORE_OF_A_SET: Final = 7  # instructions for "." and "[^...]", which take characters of many bytes


def refusal(expression: str) -> str:
    """Return why an expression cannot be used, "" if it can."""
    if len(expression) > _LONGEST:
        return f"expected at most {_LONGEST} characters, found {len(expression)}"
    if ")%" in expression or not expression.isprintable():
        return f"expected neither ')%' nor line breaks, found {expression!r}"
    if found := _PEERS.search(expression):
        return f"{found[0]} is known to Istio's own proxy only"
    try:
        reader = _Reader(list(_tokens(expression)))
        reader.expression(0)
        reader.end()
    except ValueError as error:
        return f"{expression!r}: {error}"
    return ""


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise ValueError(f"unsupported at {text[at : at + 20]!r}")
        yield str(found.lastgroup), found[str(found.lastgroup)]
        at = found.end()


class _Reader:
    """By recursive descent over (kind, text); ValueError.

    ``depth`` counts what is nested in Envoy's tree: brackets, and the links of chains such as
    ``a.b.c`` and ``a == b == c``.
    """

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = [*tokens, ("end", "the end")]
        self._at = 0

    def end(self) -> None:
        self._need("the end")

    def expression(self, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        self._binary(depth)
        if self._takes("?"):
            self._binary(depth + 1)  # another "?" needs parentheses here
            self._need(":")
            self.expression(depth + 1)

    def _binary(self, depth: int) -> None:
        """Read operands with binary operators between them.

        Which of these binds tighter is no question of whether the text can be read.
        """
        self._unary(depth)
        while self._text in {"||", "&&"} | _COMPARISONS and self._kind in ("sign", "name"):
            depth += self._text in _COMPARISONS
            self._at += 1
            self._unary(depth)

    def _unary(self, depth: int) -> None:
        sign = self._text  # CEL repeats the one or the other, and does not mix them
        while sign in ("!", "-") and self._takes(sign):
            pass
        self._primary(depth)
        while True:
            if depth > _DEEPEST:
                raise ValueError("nested too deeply")
            depth += 1
            if self._takes("["):
                self.expression(depth + 1)
                self._need("]")
            elif self._takes("."):
                name = self._name()
                if name in _CONSTANTS:
                    raise ValueError(f"expected a field, found {name}")
                if self._text == "(":
                    self._call(name, _METHODS, depth)
            else:
                return

    def _primary(self, depth: int) -> None:
        if self._kind in ("text", "number"):
            self._at += 1
        elif self._takes("("):
            self.expression(depth + 1)
            self._need(")")
        else:
            name = self._name()
            if self._text == "(":
                self._call(name, _FUNCTIONS, depth)
            elif name not in _ROOTS:
                raise ValueError(f"unsupported name {name}")

    def _call(self, name: str, known: dict[str, int], depth: int) -> None:
        if name not in known:
            raise ValueError(f"unsupported function {name}")
        self._need("(")
        if name == "matches":
            self._pattern()
        else:
            for _unused in range(known[name]):
                self.expression(depth + 1)
        self._need(")")

    def _pattern(self) -> None:
        """Envoy compiles the pattern with the expression, in RE2: what both have, and Python."""
        kind, text = self._tokens[self._at]
        if kind != "text" or not _PATTERN.fullmatch(text[1:-1]):
            raise ValueError(f"expected a simple pattern as text, found {text}")
        sets = text.count(".") + text.count("[^")
        if len(text) + _MORE_OF_A_SET * sets > _LONGEST_PATTERN:
            raise ValueError(f"pattern {text}: too long for Envoy")
        try:
            re.compile(text[1:-1])
        except re.error as error:
            raise ValueError(f"pattern {text}: {error}") from error
        self._at += 1

    @property
    def _kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _text(self) -> str:
        kind, text = self._tokens[self._at]
        return "" if kind == "text" else text

    def _takes(self, sign: str) -> bool:
        if self._text != sign:
            return False
        self._at += 1
        return True

    def _need(self, sign: str) -> None:
        if not self._takes(sign):
            raise ValueError(f"expected {sign}, found {self._tokens[self._at][1]}")

    def _name(self) -> str:
        kind, text = self._tokens[self._at]
        if kind != "name" or text in _COMPARISONS:
            raise ValueError(f"expected a name, found {text}")
        self._at += 1
        return text
