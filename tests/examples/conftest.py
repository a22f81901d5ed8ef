"""What the tests of dataset examples share: real pictures and a scan of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from phosphene.examples.config import ScanConfig
from phosphene.examples.index import Index
from phosphene.examples.scan import scan
from phosphene.models import Model, load

PICTURES = 60
LAYERS = ("features.3", "features.9", "features.12", "output")
SMALL = ScanConfig(top=5, sample=16, batch=8)


@pytest.fixture(scope="session")
def photographs(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures of ImageNet in three folders."""
    root = tmp_path_factory.mktemp("photographs")
    files = sorted((shared / "images" / "imagenet1k-sample").iterdir())[::16][:PICTURES]
    for number, file in enumerate(files):
        folder = root / f"group{number % 3}"
        folder.mkdir(exist_ok=True)
        (folder / file.name).symlink_to(file)
    return root


@pytest.fixture(scope="session")
def network(shared: Path) -> Model:
    """SqueezeNet 1.1 with its trained weights."""
    assert (shared / "models" / "squeezenet1_1.safetensors").is_file()
    return load("squeezenet1_1")


@pytest.fixture(scope="session")
def found(photographs: Path, network: Model) -> Index:
    """The index of the sixty pictures."""
    return scan(network, photographs, layers=LAYERS, config=SMALL)


@pytest.fixture
def content(tmp_path: Path) -> Callable[[Index], dict[str, bytes]]:
    """content(index): every byte of an index as it is saved."""

    def saved(index: Index) -> dict[str, bytes]:
        folder = index.save(tmp_path / f"index{len(list(tmp_path.iterdir()))}")
        assert load_file(next(folder.glob("*.safetensors")))
        return {file.name: file.read_bytes() for file in folder.iterdir()}

    return saved
