"""The sentence follows from the numbers, and says nothing where there are none."""

from __future__ import annotations

import math

import pytest

from phosphene.cards.words import SILENT, sentence, verdict

FORM = {"gray": 1.0, "hue turned": 1.0, "blurred": 0.5, "high-passed": 0.5}


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({"gray": 0.1, "hue turned": 0.2, "blurred": 0.9, "pieces shuffled": 0.9}, "a color, in whatever form"),
        (
            {"gray": 0.1, "hue turned": 0.9, "blurred": 0.9, "pieces shuffled": 0.9},
            "any strong color, in whatever form",
        ),
        ({"gray": 0.1, "hue turned": 0.0, "blurred": 0.2, "pieces shuffled": 0.9}, "a colored texture, not a shape"),
        ({"gray": 0.1, "hue turned": 0.9, "blurred": 0.2, "pieces shuffled": 0.1}, "a colored shape, of any hue"),
        ({**FORM, "hue turned": 0.1, "pieces shuffled": 0.1}, "a shape, in gray too but not in the opposite color"),
        ({"gray": 0.1, "hue turned": 0.1, "blurred": 0.9, "pieces shuffled": 0.1}, "a colored shape"),
        ({**FORM, "pieces shuffled": 0.9}, "a texture, not a shape, whatever its color"),
        ({**FORM, "pieces shuffled": 0.1}, "a shape, whatever its color"),
        ({**FORM, "gray": 0.5, "pieces shuffled": 0.1}, "a shape, whose color matters in part"),
        ({**FORM, "pieces shuffled": 0.5}, "something in between a texture and a shape, whatever its color"),
        ({**FORM, "pieces shuffled": math.nan}, "a detail of a few pixels, whatever its color"),
        ({"blurred": 0.1, "high-passed": 0.9, "pieces shuffled": 0.9}, "a texture of fine detail, not a shape"),
    ],
)
def test_the_verdict_follows_from_what_is_kept_and_lost(kept: dict[str, float], said: str) -> None:
    assert verdict(kept) == said
    assert f": {said}." in sentence(kept)


def test_what_is_not_known_is_not_said() -> None:
    assert sentence({"gray": math.nan, "turned": math.nan}) == SILENT
    assert "gray" not in sentence({"gray": math.nan, "blurred": 0.5, "pieces shuffled": 0.1})
    assert "direction" not in sentence({**FORM, "pieces shuffled": 0.5, "turned": 0.5})


def test_a_share_is_told_as_it_is() -> None:
    told = sentence({**FORM, "gray": 1.157, "pieces shuffled": 0.9, "turned": 0.044, "patch removed": 0.9})
    assert told.startswith("Keeps 116% when gray, ")
    assert "Its direction matters: the patch keeps 4% when turned." in told
    assert "90% without it, from elsewhere in the picture." in told
