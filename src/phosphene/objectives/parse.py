"""The grammar of targets: text -> objective tree, the inverse of `str`.

    target   := ["-"] term (("+" | "-") term)*
    term     := factor ("*" factor)*                    numbers and weights in front scale the rest
    factor   := NUMBER | weights | "(" target ")" | unit | phrase
    unit     := LAYER | LAYER ":" units ["@" place] | CLASS ":" classes ["@" LAYER]
    phrase   := WORD ["(" [LAYER] ("," OPTION "=" (NAME | NUMBER | units))* ")"]
              | "direction" "(" LAYER ("," vector)+ ("," OPTION "=" (NAME | NUMBER))* ")" ["@" place]
    units    := "*" | range ("," range)*                range := N | N ".." M   (both ends count)
    place    := Y "," X | TOKEN | "cls" | "center"
    weights, vector := "[" NUMBER ("," NUMBER)* "]"     weights: one for each row

Examples: `features.12:0..15 - 0.05*tv`, `layer4:7@3,5`, `logit:goldfish`, `prob:"great white shark"`, `-logit:1`,
`mixed4a`, `features.12:3 * (1 - opacity)`, `content(relu4_2) + 100*gram(relu3_1, of=painting, norm=mean)`. Nothing is
ever evaluated: text from a stranger is safe.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from phosphene.errors import ParseError, UsageError, nearest
from phosphene.objectives.acts import OUTPUT
from phosphene.objectives.algebra import Constant, Objective, Product, Sum, scale
from phosphene.objectives.caricature import Caricature
from phosphene.objectives.classes import Logit, LogProbability, Margin, Probability
from phosphene.objectives.data import told
from phosphene.objectives.directions import Direction
from phosphene.objectives.families import Alignment, Diversity
from phosphene.objectives.lexer import Cursor, Token, unquoted
from phosphene.objectives.regularizers import REGULARIZERS as OF_PICTURES
from phosphene.objectives.sound import SOUND_REGULARIZERS
from phosphene.objectives.statistics import Content, Gram
from phosphene.objectives.units import EVERY, Channel, Neuron, WholeLayer
from phosphene.objectives.wasserstein import Moments, SlicedWasserstein

MAX_LENGTH = 1_000_000  # characters; a direction of a wide layer is long, anything longer is an accident
MAX_UNITS = 1_000_000
MAX_DEPTH = 50  # parentheses within parentheses

CLASSES: dict[str, Callable[[Any, str], Objective]] = {
    "logit": Logit,
    "prob": Probability,
    "logprob": LogProbability,
    "margin": Margin,
}
OF_LAYERS: dict[str, Any] = {  # phrases that name a layer and options
    kind.word: kind for kind in (Content, Gram, Moments, SlicedWasserstein, Caricature, Diversity, Alignment)
}
REGULARIZERS = {**OF_PICTURES, **SOUND_REGULARIZERS}
PHRASES = ("direction", *OF_LAYERS, *REGULARIZERS)


def parse(text: str) -> Objective:
    """The objective that `text` describes. Raises ParseError, which shows the position of what it cannot read."""
    if len(text) > MAX_LENGTH:
        raise ParseError(text[:40] + "...", 0, f"{len(text)} characters are more than {MAX_LENGTH}")
    return _Parser(text).everything()


class _Parser(Cursor):
    """Recursive descent over the tokens, one method per rule."""

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
        weights: list[tuple[Token, tuple[float, ...]]] = []
        parts: list[Objective] = []
        while True:
            if self.token.kind == "number":
                factor, scaled = factor * self.real(), True
            elif self.accept("["):
                weights.append((self.tokens[self.at - 1], self.vector()))
            else:
                parts.append(self.factor())
            if self.accept("*") is None:
                break
        if not parts and weights:
            self.fail("weights of rows need a target behind them: [1, 0.5]*features.12:7", weights[0][0])
        if not parts:
            return Constant(factor)
        product = parts[0] if len(parts) == 1 else Product(tuple(parts))
        for token, numbers in weights:
            product = self.meant(token, lambda numbers=numbers, of=product: scale(numbers, of))  # type: ignore[misc]
        return scale(factor, product) if scaled else product

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
        return self.meant(token, lambda: self.unit(token))

    def meant(self, token: Token, make: Callable[[], Objective]) -> Objective:
        """What `make` gives; what it refuses is shown at the token."""
        try:
            return make()
        except ParseError:
            raise
        except UsageError as error:
            self.fail(str(error), token)

    def unit(self, token: Token) -> Objective:
        name = unquoted(token)
        if token.kind == "name":
            if name in CLASSES:
                self.expect(":")
                return CLASSES[name](self.classes(), self.head())
            if self.token.text != ":":
                phrase = self.phrase(name, token)
                if phrase is not None:
                    return phrase
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
                classes.append(unquoted(token))
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
        return unquoted(token)

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

    def phrase(self, name: str, token: Token) -> Objective | None:
        """What a word of the grammar begins; None where the name is that of a layer."""
        if name in REGULARIZERS:
            return REGULARIZERS[name](**(self.options(REGULARIZERS[name]) if self.accept("(") else {}))
        if name in OF_LAYERS:
            return self.of_layer(OF_LAYERS[name], token)
        if name == "direction":
            return self.direction()
        if self.token.text == "(":
            self.fail(_unknown(name), token)
        return None

    def of_layer(self, kind: Any, token: Token) -> Objective:
        layer = unquoted(self.layer_in_parentheses())
        if self.token.text != ")":
            self.expect(",")
        options = self.options(kind)
        needed = {f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING} - {"layer", *options}
        if needed:
            self.fail(f"{kind.word} needs {needed.pop()}=N", token)
        made: Objective = kind(layer, **options)
        return made

    def options(self, kind: type[Objective]) -> dict[str, Any]:
        """`OPTION=VALUE` after `OPTION=VALUE`, as far as the closing parenthesis, which is taken too."""
        known = [name for name in told(kind) if name != "layer"]
        options: dict[str, Any] = {}
        while self.token.text != ")":
            option = self.token
            self.at += option.kind != "end"
            if option.text not in known:
                self.fail(f"expected {' or '.join(f'{name}=...' for name in known) or repr(')')}", option)
            self.expect("=")
            options[option.text] = self.value()
            if self.token.text != ")":
                self.expect(",")
        self.expect(")")
        return options

    def value(self) -> str | float | tuple[int | str, ...]:
        token = self.token
        if token.kind in ("name", "text"):
            self.at += 1
            return unquoted(token)
        comma, after = (*self.tokens[self.at + 1 : self.at + 3], token)[:2]
        if token.kind == "number" and (comma.kind == "range" or (comma.text == "," and after.kind == "number")):
            return self.units()
        if token.kind != "number" and token.text != "-":
            self.fail("expected a name or a number")
        real = self.signed_real()
        return int(token.text) if token.text.isdigit() else real

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
        if self.accept("@"):
            options["position"] = self.place() or "center"
        return Direction(unquoted(layer_token), tuple(vectors), **options)


def _unknown(name: str) -> str:
    """What is wrong with `name(`."""
    if name == "custom":
        return "a function of one's own is code, which no text holds: use phosphene.Custom in Python"
    near = nearest(name, PHRASES)
    return f"no objective {name!r}" + (f"; did you mean {', '.join(near)}?" if near else "")
