"""The words of a target: text -> tokens, each with its place, and a cursor that walks over them.

What is wrong is shown at the token where it is: every failure of the cursor is a ParseError with a position.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from phosphene.errors import ParseError

TOKENS = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<range>\.\.)
    | (?P<name>(?:\d+(?:\.\d+)*\.)?[A-Za-z_]\w*(?:\.\w+)*(?:-[A-Za-z_]\w*)*)
    | (?P<indexed>\d+(?:\.\d+)*(?=\s*:))
    | (?P<number>(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<sign>[-+*():@,=\[\]])
    )""",
    re.VERBOSE,
)


class Token(NamedTuple):
    kind: str
    text: str
    position: int


def tokens(text: str) -> list[Token]:
    """The words of a target and where they stand, with an end mark."""
    found: list[Token] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = TOKENS.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise ParseError(text, start, f"unexpected {text[start]!r}")
        kind = str(match.lastgroup)
        found.append(Token(kind, match.group(kind), match.start(kind)))
        position = match.end()
    return [*found, Token("end", "", len(text))]


def unquoted(token: Token) -> str:
    """What a name or a text in quotes says."""
    return re.sub(r"\\(.)", r"\1", token.text[1:-1]) if token.kind == "text" else token.text


class Cursor:
    """A place among the tokens of a text, and the small steps that every rule is made of."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.at, self.depth = text, tokens(text), 0, 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def fail(self, problem: str, token: Token | None = None) -> NoReturn:
        raise ParseError(self.text, (token or self.token).position, problem)

    def accept(self, *signs: str) -> str | None:
        if self.token.kind in ("sign", "range") and self.token.text in signs:
            self.at += 1
            return self.tokens[self.at - 1].text
        return None

    def expect(self, sign: str) -> None:
        if self.accept(sign) is None:
            self.fail(f"expected {sign!r}" + (f" before {self.token.text!r}" if self.token.text else " at the end"))

    def vector(self) -> tuple[float, ...]:
        values = [self.signed_real()]
        while self.accept(","):
            values.append(self.signed_real())
        self.expect("]")
        return tuple(values)

    def signed_real(self) -> float:
        return -self.real() if self.accept("-") else self.real()

    def real(self) -> float:
        if self.token.kind != "number":
            self.fail("expected a number")
        self.at += 1
        return float(self.tokens[self.at - 1].text)

    def whole(self, what: str) -> int:
        token = self.token
        if token.kind not in ("number", "indexed") or not token.text.isdigit():
            self.fail(f"expected {what}" + (f", got {token.text!r}" if token.text else ""))
        self.at += 1
        return int(token.text)

    def word(self) -> str:
        if self.token.kind != "name":
            self.fail("expected a word")
        self.at += 1
        return self.tokens[self.at - 1].text
