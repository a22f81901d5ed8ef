"""The grammar of targets: what every phrase means, and where a wrong one is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.errors import ParseError, UsageError
from phosphene.objectives import (
    L1,
    TV,
    Alignment,
    Blur,
    Caricature,
    Channel,
    Constant,
    Direction,
    Diversity,
    Frequency,
    Logit,
    LogProbability,
    Margin,
    Neuron,
    Objective,
    Opacity,
    Probability,
    Product,
    Scale,
    Sum,
    WholeLayer,
    parse,
)

MEANINGS = {
    "features.12:7": Channel("features.12", 7),
    "features.12:0..15": Channel("features.12", range(16)),
    "features.12:3,5,10..12": Channel("features.12", (3, 5, 10, 11, 12)),
    "features.12:*": Channel("features.12", "*"),
    "0:7": Channel("0", 7),
    "0.1:7": Channel("0.1", 7),
    "1.conv:7": Channel("1.conv", 7),
    '"odd name":7': Channel("odd name", 7),
    "layer4:7@3,5": Neuron("layer4", 7, (3, 5)),
    "layer4:1,2@3,5": Neuron("layer4", (1, 2), (3, 5)),
    "blocks.3:7@12": Neuron("blocks.3", 7, (12,)),
    "blocks.3:7@cls": Neuron("blocks.3", 7, "cls"),
    "layer4:7@center": Neuron("layer4", 7),
    "mixed4a": WholeLayer("mixed4a"),
    '"tv"': WholeLayer("tv"),
    "tv:3": Channel("tv", 3),
    "logit:1": Logit(1),
    "logit:goldfish": Logit("goldfish"),
    "logit:goldfish,1..3": Logit(("goldfish", 1, 2, 3)),
    "logit:*": Logit("*"),
    "logit:1@heads.age": Logit(1, "heads.age"),
    'prob:"great white shark"': Probability("great white shark"),
    "prob:sea-lion": Probability("sea-lion"),
    "direction(a.b, [1, -2.5, 1e-3])": Direction("a.b", (1, -2.5, 0.001)),
    "direction(a, [1, 2], [3, 4], form=cosine, power=2)": Direction("a", ((1, 2), (3, 4)), "cosine", 2),
    "tv": TV(),
    "-logit:1": Scale(-1, Logit(1)),
    "+logit:1": Logit(1),
    "2*tv": Scale(2, TV()),
    "tv*2": Scale(2, TV()),
    "2*3*tv": Scale(6, TV()),
    "2*3": Constant(6),
    "-2": Constant(-2),
    "features.12:0..1 - 0.05*tv": Sum((Channel("features.12", (0, 1)), Scale(-0.05, TV()))),
    "features.12:3 * (1 - opacity)": Product((Channel("features.12", 3), Sum((Constant(1), Scale(-1, Opacity()))))),
    "a:1 + b:2 - tv": Sum((Channel("a", 1), Channel("b", 2), Scale(-1, TV()))),
    "(a:1 + b:2) * l1": Product((Sum((Channel("a", 1), Channel("b", 2))), L1())),
    "a:* * b:*": Product((Channel("a", "*"), Channel("b", "*"))),
    "-a:1 * b:2": Scale(-1, Product((Channel("a", 1), Channel("b", 2)))),
    "a:1 - (b:1 - b:2)": Sum((Channel("a", 1), Scale(-1, Sum((Channel("b", 1), Scale(-1, Channel("b", 2))))))),
    "[1, -0.5]*a:1": Scale((1, -0.5), Channel("a", 1)),
    "2*[1, 0.5]*a:1*tv": Scale((2, 1), Product((Channel("a", 1), TV()))),
    "tv - [1, 0]*a:1": Sum((TV(), Scale((-1, 0), Channel("a", 1)))),
    "direction(a, [1, 2], form=cosine)@3,5": Direction("a", (1, 2), "cosine", position=(3, 5)),
    "direction(a, [1, 2])@center - tv": Sum((Direction("a", (1, 2), position="center"), Scale(-1, TV()))),
    "caricature(a, power=-1.5)": Caricature("a", power=-1.5),
    "diversity(a, group=2, members=0..3)": Diversity("a", 2, range(4)),
    "alignment(a, group=3, members=2,0,5, decay=1.5)": Alignment("a", 3, (2, 0, 5), 1.5),
    "alignment(input, group=3, members=4)": Alignment("input", 3, 4),  # type: ignore[arg-type]
    "margin:goldfish - logprob:0..2@aux": Sum((Margin("goldfish"), Scale(-1, LogProbability(range(3), "aux")))),
    "a:1 - blur - 2*frequency(cutoff=0.1)": Channel("a", 1) - Blur() - 2 * Frequency(0.1),
    "diversity:3": Channel("diversity", 3),
    '"diversity" + "custom":1': WholeLayer("diversity") + Channel("custom", 1),
    "  a:1\n+ b:2  ": Sum((Channel("a", 1), Channel("b", 2))),
    ".5*tv": Scale(0.5, TV()),
    "1e2*tv": Scale(100, TV()),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_a_phrase_means_its_tree(text: str) -> None:
    assert parse(text) == MEANINGS[text]


@pytest.mark.parametrize("tree", MEANINGS.values(), ids=str)
def test_a_tree_prints_as_a_phrase_that_means_it(tree: Objective) -> None:
    assert parse(str(tree)) == tree


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "expected a unit"),
        ("   ", 3, "expected a unit"),
        ("features.12:", 12, "expected a unit number"),
        ("features.12:x", 12, "expected a unit number"),
        ("features.12:1.5", 12, "expected a unit number"),
        ("features.12:5..3", 12, "is empty"),
        ("features.12:0..9999999", 12, "more than 1000000 units"),
        ("features.12:3@", 14, "expected a position"),
        ("features.12:3@middle", 14, "cls or center"),
        ("a:1 b:2", 4, "unexpected 'b'"),
        ("a:1 +", 5, "expected a unit"),
        ("(a:1", 4, "expected '\\)'"),
        ("a:1)", 3, "unexpected '\\)'"),
        ("a:1 # b", 4, "unexpected '#'"),
        ("logit", 5, "expected ':'"),
        ("logit:", 6, "expected a class"),
        ("logit:1@", 8, "expected the layer"),
        ("bordr(a)", 0, "no objective 'bordr'; did you mean border"),
        ("direction(a)", 10, "needs a vector"),
        ("direction(a, [1, x])", 17, "expected a number"),
        ("direction(a, shape=3)", 13, "expected a vector"),
        ("direction(a, [0, 0])", 0, "not zero"),
        ("direction(a, [1], form=sine)", 0, "dot, cosine or dot_cosine"),
        ('"unclosed', 0, "unexpected"),
        ("[1, 2]", 0, "weights of rows need a target"),
        ("tv + [1]*tv", 5, "two or more"),
        ("[1, 2]*[1, 2, 3]*tv", 7, "weights of 2 and 3 rows|weights of 3 and 2 rows"),
        ("[1, x]*tv", 4, "expected a number"),
        ("direction(a, [1])@", 18, "expected a position"),
        ("direction(a, [1])@-1", 18, "expected a position"),
        ("diversty(a, group=2)", 0, "did you mean diversity"),
        ("diversity(a group=2)", 12, "expected ','"),
        ("custom(f, a)", 0, "is code"),
        ("frequency(cutof=1)", 10, "expected cutoff=..."),
        ("frequency(cutoff=1", 18, "expected ','"),
        ("frequency(", 10, "expected cutoff=..."),
        ("__import__('os')", 11, "unexpected"),
    ],
)
def test_a_wrong_phrase_is_shown_where_it_is_wrong(text: str, position: int, says: str) -> None:
    with pytest.raises(ParseError, match=says) as caught:
        parse(text)
    assert caught.value.position == position
    assert str(caught.value).splitlines()[-1] == " " * (position + 2) + "^"


def test_phrases_beyond_reason_are_refused() -> None:
    with pytest.raises(ParseError, match="parentheses"):
        parse("(" * 10_000 + "tv" + ")" * 10_000)
    with pytest.raises(ParseError, match="characters"):
        parse("a" * 2_000_000)
    with pytest.raises(UsageError):
        parse("1e999*tv")


@given(st.text(max_size=30) | st.text('a1.:*+-@,()[]="\\ ', max_size=30))
def test_any_text_is_a_target_or_a_usage_error(text: str) -> None:
    try:
        tree = parse(text)
    except UsageError:
        return
    assert parse(str(tree)) == tree
