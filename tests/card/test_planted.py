"""Planted truth: the units' causes are known, and the probes name them, also where something else correlates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from phosphene.card.probe import Probe, probe
from phosphene.models import Model
from tests.card.conftest import COLOR, LAYER, SHAPE, SIDE, STRIPES, Canvas, with_ball, with_stripes


@pytest.mark.parametrize(
    ("unit", "said"), [(STRIPES, "a texture, not a shape"), (COLOR, "a color"), (SHAPE, "a shape")]
)
def test_the_sentence_names_the_cause(planted: Model, scenes: Path, unit: int, said: str) -> None:
    found = probe(planted, f"{LAYER}:{unit}", scenes)
    print({name: round(found.kept(name), 2) for name in found.changes}, [o.patch for o in found.examples])
    print(found.sentence)
    assert f": {said}" in found.sentence


def test_what_correlates_perfectly_is_not_taken_for_the_cause(planted: Model, drawn: Callable[..., Path]) -> None:
    def both(picture: Canvas, y: int, x: int) -> Canvas:
        return with_ball(with_stripes(picture, y, x), (y + 40) % (SIDE - 20) + 10, (x + 40) % (SIDE - 20) + 10)
    found = probe(planted, f"{LAYER}:{STRIPES}", drawn("confounded", [both]))
    print({name: round(found.kept(name), 2) for name in found.changes}, [o.patch for o in found.examples])
    print(found.sentence)
