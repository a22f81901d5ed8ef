"""The grammar of targets: text -> objective tree, the inverse of `str`.

    target   := ["-"] term (("+" | "-") term)*
    term     := factor ("*" factor)*                    a leading number scales the rest
    factor   := NUMBER | "(" target ")" | unit | WORD
    unit     := LAYER | LAYER ":" units ["@" place] | ("logit" | "prob") ":" classes ["@" LAYER] | direction(...)
              | ("content" | "gram" | "moments" | "sliced") "(" LAYER ("," OPTION "=" (NAME | N))* ")"
    units    := "*" | range ("," range)*        range := N | N ".." M   (both ends count)
    place    := Y "," X | TOKEN | "cls" | "center"

Examples: `features.12:0..15 - 0.05*tv`, `layer4:7@3,5`, `logit:goldfish`, `prob:"great white shark"`, `-logit:1`,
`mixed4a`, `features.12:3 * (1 - opacity)`, `content(relu4_2) + 100*gram(relu3_1, of=painting, norm=mean)`. Nothing is
ever evaluated: text from a stranger is safe.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from phosphene.errors import ParseError, UsageError, nearest
from phosphene.objectives.algebra import OUTPUT, Constant, Objective, Product, Sum, scale, told
from phosphene.objectives.regularizers import REGULARIZERS
from phosphene.objectives.statistics import Content, Gram, Statistic
from phosphene.objectives.units import EVERY, Channel, Direction, Logit, Neuron, Probability, WholeLayer
from phosphene.objectives.wasserstein import Moments, SlicedWasserstein

MAX_LENGTH = 1_000_000  # characters; a direction of a wide layer is long, anything longer is an accident
MAX_UNITS = 1_000_000
MAX_DEPTH = 50  # parentheses within parentheses

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
CLASSES: dict[str, Callable[[Any, str], Objective]] = {"logit": Logit, "prob": Probability}
STATISTICS: dict[str, type[Statistic]] = {kind.word: kind for kind in (Content, Gram, Moments, SlicedWasserstein)}


class Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse(text: str) -> Objective:
    """The objective that `text` describes. Raises ParseError, which shows the position of what it cannot read."""
    if len(text) > MAX_LENGTH:
        raise ParseError(text[:40] + "...", 0, f"{len(text)} characters are more than {MAX_LENGTH}")
    return _Parser(text).everything()


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


class _Parser:
    """Recursive descent over the tokens, one method per rule."""

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

    def everything(self) -> Objective:
        tree = self.target()
        if self.token.kind != "end":
            self.fail(f"unexpected {self.token.text!r}; join targets with + - *")
        return tree

    def target(self) -> Objective:
        parts = [self.signed(self.accept("-", "+") == "-")]
        while (sign := self.accept("+", "-")) is not None:
            parts.append(self.signed(sign == "-"))
        return parts[0] if len(parts) == 1 else Sum(tuple(parts))

    def signed(self, negative: bool) -> Objective:
        term = self.term()
        return scale(-1.0, term) if negative else term

    def term(self) -> Objective:
        factor = 1.0
        scaled = False
        parts: list[Objective] = []
        while True:
            if self.token.kind == "number":
                factor, scaled = factor * self.real(), True
            else:
                parts.append(self.factor())
            if self.accept("*") is None:
                break
        if not parts:
            return Constant(factor)
        product = parts[0] if len(parts) == 1 else Product(tuple(parts))
        if not scaled:
            return product
        return scale(factor, product)

    def factor(self) -> Objective:
        if self.accept("("):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                self.fail(f"more than {MAX_DEPTH} parentheses within each other")
            tree = self.target()
            self.expect(")")
            self.depth -= 1
            return tree
        token = self.token
        if token.kind not in ("name", "text", "indexed"):
            self.fail(
                "expected a unit such as features.12:7 or logit:goldfish"
                + (f", got {token.text!r}" if token.text else "")
            )
        self.at += 1
        try:
            return self.unit(token)
        except ParseError:
            raise
        except UsageError as error:
            self.fail(str(error), token)

    def unit(self, token: Token) -> Objective:
        name = self.unquoted(token)
        if token.kind == "name":
            if name in CLASSES:
                self.expect(":")
                return CLASSES[name](self.classes(), self.head())
            if name in REGULARIZERS and self.token.text != ":":
                return REGULARIZERS[name]()
            if name == "direction":
                return self.direction()
            if name in STATISTICS and self.token.text != ":":
                return self.statistic(STATISTICS[name])
            if self.token.text == "(":
                near = nearest(name, ["direction", *STATISTICS, *REGULARIZERS])
                self.fail(f"no objective {name!r}" + (f"; did you mean {', '.join(near)}?" if near else ""), token)
        if self.accept(":") is None:
            return WholeLayer(name)
        units = self.units()
        if self.accept("@") is None:
            return Channel(name, units)
        return Neuron(name, units, self.place())

    def units(self) -> tuple[int | str, ...]:
        if self.accept("*"):
            return (EVERY,)
        units: list[int | str] = list(self.range())
        while self.token.text == "," and self.tokens[self.at + 1].kind == "number":
            self.at += 1
            units += self.range()
            if len(units) > MAX_UNITS:
                self.fail(f"more than {MAX_UNITS} units")
        return tuple(units)

    def range(self) -> range:
        first_token = self.token
        first = self.whole("a unit number, a range such as 0..15, or *")
        last = self.whole("the last unit of the range") if self.accept("..") else first
        if last < first:
            self.fail(f"the range {first}..{last} is empty", first_token)
        if last - first >= MAX_UNITS:
            self.fail(f"more than {MAX_UNITS} units", first_token)
        return range(first, last + 1)

    def classes(self) -> tuple[int | str, ...]:
        classes: list[int | str] = []
        while True:
            token = self.token
            if token.kind in ("name", "text"):
                self.at += 1
                classes.append(self.unquoted(token))
            elif token.kind == "number":
                classes += self.range()
            elif self.accept("*"):
                return (EVERY,)
            else:
                self.fail("expected a class name or number")
            if self.accept(",") is None:
                return tuple(classes)

    def head(self) -> str:
        if self.accept("@") is None:
            return OUTPUT
        token = self.token
        if token.kind not in ("name", "text"):
            self.fail("expected the layer whose classes are meant")
        self.at += 1
        return self.unquoted(token)

    def place(self) -> Any:
        if self.token.kind == "name":
            word = self.token.text
            if word not in ("cls", "center"):
                self.fail(f"a position is y,x, a token number, cls or center, got {word!r}")
            self.at += 1
            return None if word == "center" else word
        first = self.whole("a position such as 3,5")
        if self.token.text == "," and self.tokens[self.at + 1].kind == "number":
            self.at += 1
            return (first, self.whole("the x of the position"))
        return (first,)

    def layer_in_parentheses(self) -> Token:
        self.expect("(")
        token = self.token
        if token.kind not in ("name", "text", "indexed", "number"):
            self.fail("expected the name of a layer")
        self.at += 1
        return token

    def statistic(self, kind: type[Statistic]) -> Objective:
        layer = self.unquoted(self.layer_in_parentheses())
        known = [name for name in told(kind) if name != "layer"]
        options: dict[str, Any] = {}
        while self.accept(","):
            option = self.token
            self.at += 1
            if option.text not in known:
                self.fail(f"expected {' or '.join(f'{name}=...' for name in known)}", option)
            self.expect("=")
            options[option.text] = self.value()
        self.expect(")")
        return kind(layer, **options)

    def value(self) -> str | int:
        token = self.token
        if token.kind not in ("name", "text"):
            return self.whole("a name or a whole number")
        self.at += 1
        return self.unquoted(token)

    def direction(self) -> Objective:
        layer_token = self.layer_in_parentheses()
        vectors: list[tuple[float, ...]] = []
        options: dict[str, Any] = {}
        while self.accept(","):
            if self.accept("["):
                vectors.append(self.vector())
                continue
            option = self.token
            self.at += 1
            if option.text not in ("form", "power"):
                self.fail("expected a vector [..], form=... or power=...", option)
            self.expect("=")
            options[option.text] = self.signed_real() if option.text == "power" else self.word()
        self.expect(")")
        if not vectors:
            self.fail("a direction needs a vector: direction(LAYER, [0.1, -2, ...])", layer_token)
        return Direction(self.unquoted(layer_token), tuple(vectors), **options)

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

    def unquoted(self, token: Token) -> str:
        return re.sub(r"\\(.)", r"\1", token.text[1:-1]) if token.kind == "text" else token.text
