"""Planted truth: the units' causes are known, and the probes name them, also where something else correlates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from phosphene.cards.config import ProbeConfig
from phosphene.cards.probe import Probe, probe
from phosphene.models import Model

THREE = ProbeConfig(probed=3)


@pytest.fixture(scope="module")
def probes(planted: Model, plant: Any, scenes: Path) -> list[Probe]:
    return [probe(planted, f"{plant.LAYER}:{unit}", scenes, config=THREE) for unit in range(3)]


def test_the_sentence_names_the_cause(plant: Any, probes: list[Probe]) -> None:
    assert ": a texture of fine detail, not a shape, whatever its color." in probes[plant.STRIPES].sentence
    assert ": a color, in whatever form." in probes[plant.COLOR].sentence
    assert ": a shape, whatever its color." in probes[plant.SHAPE].sentence


def test_direction_matters_to_stripes_and_to_neither_color_nor_cross(plant: Any, probes: list[Probe]) -> None:
    assert "Its direction matters" in probes[plant.STRIPES].sentence
    for unit in (plant.COLOR, plant.SHAPE):
        assert probes[unit].kept("turned") == pytest.approx(1, abs=0.03)
        assert "Its direction does not matter: " in probes[unit].sentence


def test_direction_is_that_of_the_patch_and_not_of_what_else_is_in_the_picture(
    planted: Model, plant: Any, drawn: Any
) -> None:
    def crossed(picture: Any, y: int, x: int) -> Any:
        """Upright stripes, and beside them level ones, which become upright when the picture is turned."""
        picture = plant.with_stripes(picture, 2, 2, 28)
        return plant.with_stripes(picture.transpose(1, 0, 2), 34, 34, 28).transpose(1, 0, 2)

    found = probe(planted, f"{plant.LAYER}:{plant.STRIPES}", drawn("crossed", [crossed]), config=THREE)
    assert found.kept("turned") < 0.1
    assert "Its direction matters" in found.sentence


def test_the_smallest_patch_lies_on_what_was_planted(plant: Any, probes: list[Probe]) -> None:
    for unit, least in ((plant.STRIPES, 0.9), (plant.COLOR, 0.5), (plant.SHAPE, 0.9)):
        for one in probes[unit].examples:
            y0, x0, y1, x1 = one.patch.box
            inside = one.pixels[:, y0:y1, x0:x1]
            painted = ((inside - 0.5).abs().amax(0) > 0.3).float().mean()  # the ground is gray with faint noise
            assert painted > least
            assert THREE.keep <= one.patch.kept < 1
            assert (y1 - y0) * (x1 - x0) < 0.25 * plant.SIDE**2


def test_what_correlates_perfectly_is_not_taken_for_the_cause(planted: Model, plant: Any, drawn: Any) -> None:
    def both(picture: Any, y: int, x: int) -> Any:
        return plant.with_ball(plant.with_stripes(picture, 2 + y % 8, 2 + x % 8), plant.SIDE - 10, plant.SIDE - 10)

    found = probe(planted, f"{plant.LAYER}:{plant.STRIPES}", drawn("confounded", [both]), config=THREE)
    for one in found.examples:
        red = one.pixels[0] - one.pixels[1] > 0.5
        y0, x0, y1, x1 = one.patch.box
        assert red.float().mean() > 0.02  # the ball is in every one of the strongest examples
        assert red[y0:y1, x0:x1].float().mean() == 0  # and not in what is enough
    assert found.kept("gray") > 0.95
    assert found.kept("hue turned") > 0.9
    assert ": a texture of fine detail, not a shape, whatever its color." in found.sentence


def test_probes_are_the_same_each_time(planted: Model, plant: Any, scenes: Path, probes: list[Probe]) -> None:
    again = probe(planted, f"{plant.LAYER}:{plant.SHAPE}", scenes, config=THREE)
    assert again.data() == probes[plant.SHAPE].data()


def test_your_own_pictures_stand_among_the_data(planted: Model, plant: Any, scenes: Path, drawn: Any) -> None:
    stripes = drawn("hypotheses", [plant.with_stripes])
    asked = [stripes / "000.png", stripes / "001.png"]  # nothing, and stripes
    found = probe(planted, f"{plant.LAYER}:{plant.STRIPES}", scenes, ask=asked, config=THREE)
    nothing, striped = found.asked
    assert (nothing.name, striped.name) == ("000.png", "001.png")
    assert striped.percentile > 70
    assert nothing.percentile < striped.percentile
    assert striped.score == pytest.approx(found.examples[0].score, rel=0.1)
