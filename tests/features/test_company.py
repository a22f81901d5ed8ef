"""Law 1 through the front door: a picture is the same alone, in company, and at another place in it."""

from __future__ import annotations

from pathlib import Path

import pytest

import phosphene as ph


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_picture_does_not_depend_on_its_company(shared: Path, precision: str) -> None:
    model = ph.load("squeezenet1_1", weights=shared / "models" / "squeezenet1_1.safetensors")
    run = ph.RunConfig(device="cpu", precision=precision)  # type: ignore[arg-type]
    pictures = []
    for target, place in (("features.12:3", 0), ("features.12:0..4", 3), ("features.12:40,7,3", 2)):
        sheet = ph.render(model, target, size=72, steps=20, run=run)
        assert sheet[place].unit == 3
        pictures.append(sheet[place])
    for other in pictures[1:]:
        assert other.recipe["result"]["pixels_sha256"] == pictures[0].recipe["result"]["pixels_sha256"]
