"""Where no network is named, the one in the package serves, and the command says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from phosphene.cli.console import Screen
from phosphene.cli.default import network_and_pictures, network_and_targets
from phosphene.errors import UsageError

QUICK = ("--size", "32", "--steps", "2", "--json")


@pytest.mark.parametrize(
    ("words", "network", "targets"),
    [
        (["logit:star"], "minivgg", ["logit:star"]),
        (["conv4_1:0..3", "prob:dots"], "minivgg", ["conv4_1:0..3", "prob:dots"]),
        (["relu3_1", "logit:0"], "minivgg", ["relu3_1", "logit:0"]),
        ([" -conv4_1:3"], "minivgg", [" -conv4_1:3"]),
        (["0.5*conv1_1:1 - tv"], "minivgg", ["0.5*conv1_1:1 - tv"]),
        (["conv9_1:3"], "minivgg", ["conv9_1:3"]),  # no such layer: refused later, with the layers there are
        (["squeezenet1_1", "features.12:3"], "squeezenet1_1", ["features.12:3"]),
        (["squeezenet1", "features.12:3"], "squeezenet1", ["features.12:3"]),  # a slip, told with the nearest names
        (["minivgg", "logit:star"], "minivgg", ["logit:star"]),
        (["timm:resnet18", "logit:1"], "timm:resnet18", ["logit:1"]),
        (["my.nets:make", "layer4:1"], "my.nets:make", ["layer4:1"]),
        (["vgg19@IMAGENET1K_V1", "logit:1"], "vgg19@IMAGENET1K_V1", ["logit:1"]),
    ],
)
def test_the_first_word_is_the_network_unless_it_is_a_target(
    words: list[str], network: str, targets: list[str]
) -> None:
    assert network_and_targets(words, Screen(quiet=True)) == (network, targets)


@pytest.mark.parametrize("word", ["squeezenet1_1", "minivgg", "timm:resnet18", "my.nets:make", "squeezenet"])
def test_a_network_alone_needs_a_target(word: str) -> None:
    with pytest.raises(UsageError, match=f"no target for {word}"):
        network_and_targets([word], Screen(quiet=True))


def test_pictures_are_found_by_being_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("cat.png")
    quiet = Screen(quiet=True)
    assert network_and_pictures(["cat.png"], quiet) == ("minivgg", [Path("cat.png")])
    assert network_and_pictures(["cat.png", "dog.png"], quiet) == ("minivgg", [Path("cat.png"), Path("dog.png")])
    assert network_and_pictures(["gone.png"], quiet) == ("minivgg", [Path("gone.png")])
    assert network_and_pictures(["squeezenet1_1", "cat.png"], quiet) == ("squeezenet1_1", [Path("cat.png")])
    with pytest.raises(UsageError, match="no picture for squeezenet1_1"):
        network_and_pictures(["squeezenet1_1"], quiet)


def test_render_without_a_network_says_which_one_serves(phosphene: Any, workplace: Path) -> None:
    done = phosphene("render", "logit:star", *QUICK)
    assert done.code == 0
    assert "minivgg, the small network inside phosphene; for a larger one: phosphene render squeezenet1_1" in done.err
    assert json.loads(done.out)["results"][0]["target"] == "logit:star"
    named = phosphene("render", "minivgg", "logit:star", *QUICK)
    assert "for a larger one" not in named.err


def test_layers_and_classify_serve_without_a_network(phosphene: Any, workplace: Path) -> None:
    listed = phosphene("layers", "--json")
    assert json.loads(listed.out)["model"] == "minivgg"
    assert "phosphene layers squeezenet1_1" in listed.err
    Image.new("RGB", (64, 64), (255, 0, 0)).save(workplace / "red.png")
    seen = phosphene("classify", "red.png", "--json")
    assert json.loads(seen.out)["results"][0]["classes"][0]["label"] == "red"


def test_a_picture_of_the_package_network_is_made_again(phosphene: Any, workplace: Path) -> None:
    assert phosphene("render", "logit:star", "--size", "32", "--steps", "3").code == 0
    again = phosphene("rerun", "out/logit-star.png")
    assert again.code == 0
    assert "the same pixels" in again.out
