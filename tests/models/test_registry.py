"""Names become models with the right input, labels and weights, or one clear line says why not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from phosphene.errors import MissingExtraError, PhospheneError, UnknownNameError, UsageError, WeightsError
from phosphene.models.registry import from_module, imagenet_labels, known, load, torchvision_names
from phosphene.models.spec import InputSpec
from phosphene.models.weights import weights_sha256

FACTORIES = """
import torch
from torch import nn
from phosphene.models.spec import InputSpec
from phosphene.models.registry import from_module

SPEC = InputSpec(channels=1, size=(8, 8), mean=(0.5,), std=(0.5,))

def bare():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 4))

def pair():
    return bare(), SPEC

def attribute():
    net = bare()
    net.input_spec = SPEC
    return net

def model():
    return from_module(bare(), SPEC, name="mine", labels=["a", "b", "c", "d"])

def roles():
    made = model()
    made.ahead, made.roles = 2.0, ("0", ("0",))
    return made

instance = bare()

def number():
    return 3

def fails():
    raise ValueError("no such checkpoint:\\n  best.pt")

def leaves():
    raise SystemExit(2)
"""


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder and a torch hub cache of the test's own, both empty; the test runs in its own folder."""
    (tmp_path / "weights").mkdir()
    monkeypatch.setenv("PHOSPHENE_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def factories(places: Path, request: pytest.FixtureRequest) -> str:
    """The name of a module with factories in the current folder."""
    name = re.sub(r"\W", "_", request.node.name)
    (places / f"{name}.py").write_text(FACTORIES)
    return name


def test_phosphenes_own_and_every_classification_network_of_torchvision_are_known_and_nothing_else() -> None:
    names = torchvision_names()
    assert {"squeezenet1_1", "resnet50", "vgg19", "vit_b_16", "maxvit_t"} <= set(names)
    assert not [name for name in names if any(word in name for word in ("rcnn", "deeplab", "r3d", "quantized", "raft"))]
    seeing, hearing = (
        ["minivgg", "vgg19_cd16x", "inceptionv1"],
        ["crepe_tiny", "crepe_full", "yamnet", "silero_vad_16k", "random_sound", "random_sound_judge"],
    )
    assert [entry.name for entry in known()] == [*seeing, *hearing, *names]


def test_an_entry_says_what_the_publisher_says(places: Path) -> None:
    (entry,) = known("squeezenet1_1")
    assert (entry.source, entry.weights, entry.parameters, entry.size) == (
        "torchvision",
        "IMAGENET1K_V1",
        1235496,
        (224, 224),
    )
    assert entry.cached is None
    (places / "weights" / "squeezenet1_1.safetensors").write_bytes(b"")
    assert known("torchvision:SqueezeNet1_1")[0].cached == places / "weights" / "squeezenet1_1.safetensors"


def test_random_weights_are_asked_for_by_name_and_always_the_same() -> None:
    state = torch.random.get_rng_state()
    first, second = load("squeezenet1_1", weights="random"), load("torchvision:squeezenet1_1", weights="random")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.weights == second.weights
    assert first.weights.source == "random"
    assert (first.name, first.source) == ("squeezenet1_1", "torchvision:squeezenet1_1")


def test_absent_weights_are_an_error_and_never_a_random_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(url: str, *_: object, **__: object) -> Path:
        raise PhospheneError(f"cannot download {url}: no network")

    monkeypatch.setattr("phosphene.models.weights.download", offline)
    with pytest.raises(WeightsError, match=r"squeezenet1_1\.safetensors.*--weights random"):
        load("squeezenet1_1")


def test_the_input_and_the_labels_are_those_of_the_weights() -> None:
    model = load("torchvision:resnet50@IMAGENET1K_V1", weights="random")
    assert (model.spec.size, model.spec.resize, model.spec.interpolation) == ((224, 224), 256, "bilinear")
    newer = load("resnet50", weights="random").spec
    assert (newer.size, newer.resize) == ((224, 224), 232)
    assert model.labels == imagenet_labels()
    assert model.labels[1] == "goldfish"
    given = InputSpec(size=(64, 64))
    other = load("resnet18", weights="random", spec=given, labels=["x"] * 1000)
    assert (other.spec, other.labels) == (given, ("x",) * 1000)


def test_the_weights_folder_is_used_and_named_without_its_path(places: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        net = torchvision.models.squeezenet1_1()
    save_file(net.state_dict(), places / "weights" / "squeezenet1_1.safetensors")
    model = load("squeezenet1_1")
    assert model.weights.source == "file:squeezenet1_1.safetensors"
    assert model.weights.sha256 == weights_sha256(net)


def test_a_published_file_is_named_by_its_publisher(places: Path) -> None:
    entry = known("squeezenet1_1")[0]
    assert entry.url is not None
    checkpoints = places / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.save(torchvision.models.squeezenet1_1().state_dict(), checkpoints / entry.url.rsplit("/", 1)[-1])
    assert load("squeezenet1_1").weights.source == "torchvision:IMAGENET1K_V1"


def test_the_wrong_file_is_refused(places: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        save_file(torchvision.models.squeezenet1_0().state_dict(), places / "other.safetensors")
    with pytest.raises(WeightsError, match="another network than squeezenet1_1"):
        load("squeezenet1_1", weights=places / "other.safetensors")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_published_weights_with_auxiliary_heads_load(places: Path, name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        net = torchvision.models.get_model(name, aux_logits=True, init_weights=False)
    torch.save(net.state_dict(), places / "weights" / f"{name}.pth")
    model = load(name)
    assert not [key for key in model.net.state_dict() if "aux" in key.lower()]
    assert torch.equal(model.net.state_dict()["fc.weight"], net.fc.weight)
    assert model.net.transform_input


@pytest.mark.parametrize(
    ("name", "new", "old"),
    [
        ("densenet121", ".norm1.", ".norm.1."),
        ("densenet121", ".conv2.", ".conv.2."),
        ("vit_b_32", ".mlp.3.", ".mlp.linear_2."),
    ],
)
def test_old_names_in_published_weights_are_understood(places: Path, name: str, new: str, old: str) -> None:
    model = load(name, weights="random")
    state = model.net.state_dict()
    renamed = {key.replace(new, old) if "layer" in key else key: tensor for key, tensor in state.items()}
    assert renamed.keys() != state.keys()
    torch.save(renamed, places / "weights" / f"{name}.pth")
    assert load(name).weights.sha256 == model.weights.sha256


def test_mnasnet_loads_from_a_file_without_format_versions(places: Path) -> None:
    model = load("mnasnet0_5", weights="random")
    save_file(model.net.state_dict(), places / "weights" / "mnasnet0_5.safetensors")
    assert load("mnasnet0_5").weights.sha256 == model.weights.sha256


def test_an_unknown_model_or_weights_brings_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match=r"no model 'resnet5' in torchvision; did you mean resnet50"):
        load("resnet5")
    with pytest.raises(
        UnknownNameError, match=r"no weights 'IMAGENET1K_V3' in torchvision:resnet50; did you mean IMAGE"
    ):
        load("resnet50@IMAGENET1K_V3")


@pytest.mark.parametrize("made", ["pair", "attribute"])
def test_a_factory_says_what_its_network_takes(factories: str, made: str) -> None:
    model = load(f"{factories}:{made}", labels=["a", "b", "c", "d"])
    assert (model.spec.channels, model.spec.size) == (1, (8, 8))
    assert (model.source, model.weights.source, model.labels) == (f"{factories}:{made}", "given", ("a", "b", "c", "d"))
    assert model.activations(torch.rand(2, 1, 8, 8), ["output"])["output"].shape == (2, 4)
    assert load(f"{factories}:{made}").weights == model.weights


def test_a_factory_may_return_a_model_or_be_a_module(factories: str) -> None:
    model = load(f"{factories}:model")
    assert (model.name, model.labels, model.spec.size) == ("mine", ("a", "b", "c", "d"), (8, 8))
    given = InputSpec(channels=1, size=(8, 8), mean=(0.0,), std=(1.0,))
    assert load(f"{factories}:instance", spec=given).spec == given
    told = load(f"{factories}:roles")
    assert (told.ahead, told.roles) == (2.0, ("0", ("0",)))


def test_a_network_of_the_users_own_takes_weights_from_a_file(factories: str, places: Path) -> None:
    state = {key: torch.full_like(value, 0.5) for key, value in load(f"{factories}:pair").net.state_dict().items()}
    save_file(state, places / "trained.safetensors")
    model = load(f"{factories}:pair", weights=places / "trained.safetensors")
    assert model.weights.source == "file:trained.safetensors"
    assert bool((model.net[0].weight == 0.5).all())


def test_a_factory_that_does_not_say_what_it_takes_is_refused_with_the_ways_to_say_it(factories: str) -> None:
    with pytest.raises(UsageError, match=r"return \(net, InputSpec.*net\.input_spec.*give the spec"):
        load(f"{factories}:bare")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("{}:fails", PhospheneError, "ValueError: no such checkpoint: best.pt"),
        ("{}:leaves", PhospheneError, "SystemExit: 2"),
        ("{}:number", UsageError, "must return a torch.nn.Module.*not int"),
        ("{}:atribute", UnknownNameError, "did you mean attribute"),
        ("no_such_module_here:f", UsageError, "ModuleNotFoundError"),
        ("broken_module_here:f", UsageError, "SyntaxError"),
        (":f", UsageError, "package.module:factory"),
        ("{}:", UsageError, "package.module:factory"),
    ],
)
def test_what_goes_wrong_in_a_factory_is_quoted_in_one_line(
    factories: str, places: Path, name: str, error: type[PhospheneError], said: str
) -> None:
    (places / "broken_module_here.py").write_text("def f(:\n")
    with pytest.raises(error, match=said) as caught:
        load(name.format(factories))
    assert "\n" not in str(caught.value)


def test_the_import_path_is_left_as_found(factories: str) -> None:
    before = list(sys.path)
    load(f"{factories}:pair")
    with pytest.raises(PhospheneError):
        load(f"{factories}:fails")
    assert sys.path == before


def test_a_module_of_the_callers_is_taken_as_it_is() -> None:
    net = nn.Conv2d(3, 2, 1)
    model = from_module(net, InputSpec(size=(8, 8)), labels=["a", "b"])
    assert model.net is net
    assert (model.name, model.weights.source, model.weights.sha256) == ("Conv2d", "given", weights_sha256(net))


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r'pip install "phosphene\[timm\]"'):
        load("timm:resnet18", weights="random")


def test_a_network_of_timm_comes_with_its_own_preprocessing(places: Path) -> None:
    pytest.importorskip("timm")
    model = load("timm:vit_tiny_patch16_224", weights="random")
    assert (model.spec.mean, model.spec.std) == ((0.5,) * 3, (0.5,) * 3)
    assert (model.spec.size, model.spec.resize, model.spec.interpolation) == ((224, 224), 248, "bicubic")
    assert model.labels == imagenet_labels()
    assert model.layers["blocks.0"].tokens == (1, 14, 14)
    save_file(model.net.state_dict(), places / "weights" / "timm-vit_tiny_patch16_224.safetensors")
    assert load("timm:vit_tiny_patch16_224").weights.sha256 == model.weights.sha256


def test_an_unknown_or_unreachable_network_of_timm_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")
    with pytest.raises(UnknownNameError, match="no model 'resnt18' in timm; did you mean resnet18"):
        load("timm:resnt18")
    monkeypatch.setattr("phosphene.models.timm_source.hub_answers", lambda: False)
    monkeypatch.setattr("phosphene.models.timm_source._in_hub_cache", lambda *_: None)
    with pytest.raises(WeightsError, match=r"hub cannot be reached.*timm-resnet18\.a1_in1k\.safetensors"):
        load("timm:resnet18.a1_in1k")


def test_timms_networks_are_listed_on_request() -> None:
    pytest.importorskip("timm")
    names = [entry.name for entry in known("timm:vit_tiny")]
    assert names
    assert all(name.startswith("timm:") and "vit_tiny" in name for name in names)


@pytest.mark.parametrize("name", ["squeezenet1_1", "minivgg"])
def test_a_network_called_plainly_says_what_its_model_says(name: str) -> None:
    model = load(name, weights="random")
    x = torch.rand(2, 3, *model.picture_spec.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(model.net(model.normalize(x)), model.activations(x, ["output"])["output"], atol=1e-4)
