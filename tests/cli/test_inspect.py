"""What there is and whether it is set up right: models, layers, classes, this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from phosphene.models.registry import torchvision_names


def test_models_lists_phosphenes_own_and_every_network_of_torchvision(phosphene: Any) -> None:
    said = phosphene("models", "--json").json["models"]
    hearing = ["crepe_tiny", "crepe_full", "yamnet", "silero_vad_16k", "random_sound", "random_sound_judge"]
    own = ["minivgg", "vgg19_cd16x", "inceptionv1", *hearing]
    assert [entry["name"] for entry in said] == [*own, *torchvision_names()]
    assert {"name", "source", "parameters", "size", "license", "cached"} <= set(said[0])
    assert said[1]["license"] == "MIT"
    table = phosphene("models", "resnet")
    assert table.out.splitlines()[0].split() == ["name", "parameters", "input", "weights", "license"]
    assert all("resnet" in line for line in table.out.splitlines()[1:])
    assert "your own" in table.err


def test_models_tells_what_is_on_this_machine(phosphene: Any, shared: Path) -> None:
    (entry,) = [e for e in phosphene("models", "--json").json["models"] if e["name"] == "squeezenet1_1"]
    assert entry["cached"] is True
    assert entry["size"] == [224, 224]


def test_layers_are_those_of_the_network(phosphene: Any, workplace: Path) -> None:
    said = phosphene("layers", "nets:rgb", "--json").json
    assert [(layer["name"], layer["channels"], layer["spatial"]) for layer in said["layers"]] == [
        ("conv", 4, [11, 11]),
        ("rectify", 4, [11, 11]),
        ("head", 6, []),
        ("output", 6, []),
    ]
    lines = phosphene("layers", "nets:rgb").out.splitlines()
    assert lines[0].split() == ["name", "alias", "kind", "units", "space", "stride"]
    assert lines[1].split() == ["conv", "Conv2d", "4", "11x11", "2"]


def test_receptive_fields_are_measured_when_asked(phosphene: Any, workplace: Path) -> None:
    said = phosphene("layers", "nets:rgb", "--receptive", "--json").json["layers"]
    assert said[0]["receptive_field"] == 3
    assert said[2]["receptive_field"] is None
    assert "whole" in phosphene("layers", "nets:rgb", "--receptive").out


def test_a_network_that_states_no_input_is_described_by_flags(phosphene: Any, workplace: Path) -> None:
    refused = phosphene("layers", "nets:bare")
    assert refused.code == 2
    assert "nothing says what nets:bare takes" in refused.err
    ran = phosphene("layers", "nets:bare", "--input-size", "48x32", "--json")
    assert ran.json["layers"][0]["spatial"] == [23, 15]


def test_a_trained_network_sees_what_is_in_a_photograph(phosphene: Any, shared: Path) -> None:
    photo = str(shared / "images" / "content" / "coffee.jpg")
    said = phosphene("classify", "squeezenet1_1", photo, "--json").json
    classes = said["results"][0]["classes"]
    assert len(classes) == 5
    assert classes[0]["label"] in ("espresso", "cup", "coffee mug", "eggnog")
    assert classes[0]["probability"] >= classes[1]["probability"]
    text = phosphene("classify", "squeezenet1_1", photo, "--top", "1").out
    assert classes[0]["label"] in text


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(phosphene: Any, workplace: Path) -> None:
    Image.new("RGB", (30, 30), "red").save("good.png")
    Path("bad.png").write_bytes(b"no picture")
    ran = phosphene("classify", "nets:rgb", "bad.png", "good.png", "missing.png", "--json")
    assert ran.code == 1
    assert [result["path"] for result in ran.json["results"]] == ["good.png"]
    assert [line.split(":")[0] for line in ran.err.splitlines()] == ["error", "error"]


def test_top_below_one_is_refused(phosphene: Any, workplace: Path) -> None:
    assert phosphene("classify", "nets:rgb", "a.png", "--top", "0").code == 2


def test_doctor_finds_a_healthy_machine_and_a_folder_that_is_none(
    phosphene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOSPHENE_CACHE", str(tmp_path / "cache"))
    well = phosphene("doctor", "--json")
    assert well.code == 0
    assert well.json["problems"] == []
    assert {"torch", "device", "precision", "free memory", "weights here"} <= set(well.json)
    assert phosphene("doctor").out.splitlines()[-1] == "all is well"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PHOSPHENE_CACHE", str(tmp_path / "file" / "cache"))
    ill = phosphene("doctor")
    assert ill.code == 1
    assert "problem: cannot use folder" in ill.out


def test_a_timm_network_is_listed_by_its_prefix(phosphene: Any) -> None:
    pytest.importorskip("timm")
    said = phosphene("models", "timm:resnet18", "--json").json["models"]
    assert "timm:resnet18.a1_in1k" in [entry["name"] for entry in said]


def test_the_layers_of_a_token_network_are_counted_as_a_grid(phosphene: Any, workplace: Path) -> None:
    lines = phosphene("layers", "nets:tokens").out.splitlines()
    (line,) = [line for line in lines if line.split()[0] == "encoder.layers.encoder_layer_0"]
    assert "1+4x4 tokens" in line


def test_classify_as_is_sees_the_activation_that_a_picture_records(phosphene: Any, shared: Path) -> None:
    (made,) = phosphene("render", "squeezenet1_1", "logit:goldfish", "--size", "96", "--steps", "4", "--json").json[
        "results"
    ]
    (seen,) = phosphene("classify", "squeezenet1_1", made["path"], "--as-is", "--top", "1000", "--json").json["results"]
    logit = next(row["logit"] for row in seen["classes"] if row["index"] == 1)
    assert logit == pytest.approx(made["activation"], rel=1e-4)
