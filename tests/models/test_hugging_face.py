"""Networks of Hugging Face that hear: what they are given is what their own preprocessing gives, and slips are said.

The networks are small and random, but real: built and saved by transformers itself, read back through phosphene.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from phosphene.engine.again import recorded_model
from phosphene.errors import MissingExtraError, PhospheneError, RecipeError, UsageError, WeightsError
from phosphene.features.audio_config import AudioConfig
from phosphene.features.sound import render_sound
from phosphene.models import InputSpec, load
from phosphene.models.model import describe

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
WAVE = {**SMALL, "conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
CODES = {"codevector_dim": 8, "proj_codevector_dim": 8, "num_codevectors_per_group": 8}
AST = {**SMALL, "max_length": 64, "num_mel_bins": 32}
LETTERS = ["<pad>", "|", "E", "T", "A"]


@pytest.fixture(scope="module")
def transformers() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("transformers", reason='needs pip install "phosphene[transformers]"')


@pytest.fixture(scope="module")
def saved(transformers: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders as `save_pretrained` writes them, one for each network."""
    root, hf = tmp_path_factory.mktemp("hub"), transformers
    kinds = {"speech": "yes", "music": "no"}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        named = {"id2label": dict(enumerate(kinds)), "label2id": {kind: i for i, kind in enumerate(kinds)}}
        nets = {
            "ctc": hf.Wav2Vec2ForCTC(hf.Wav2Vec2Config(**WAVE, vocab_size=5)),
            "classes": hf.Wav2Vec2ForSequenceClassification(hf.Wav2Vec2Config(**WAVE, **named)),
            "pretraining": hf.Wav2Vec2ForPreTraining(hf.Wav2Vec2Config(**WAVE, **CODES)),
            "hubert": hf.HubertModel(hf.HubertConfig(**WAVE)),
            "wavlm": hf.WavLMModel(hf.WavLMConfig(**WAVE)),
            "ast": hf.ASTForAudioClassification(hf.ASTConfig(**AST, **named)),
        }
        for name, net in nets.items():
            for parameter in net.parameters():
                parameter.data += 0.05 * torch.randn(parameter.shape)  # what begins at zero shows nothing
            net.save_pretrained(root / name)
            front = (
                hf.ASTFeatureExtractor(num_mel_bins=32, max_length=64)
                if name == "ast"
                else hf.Wav2Vec2FeatureExtractor()
            )
            front.save_pretrained(root / name)
    (root / "ctc" / "vocab.json").write_text(json.dumps({letter: k for k, letter in enumerate(LETTERS)}))
    return root


def sounds(count: int, samples: int) -> Tensor:
    return 0.1 * torch.randn(count, 1, samples, generator=torch.Generator().manual_seed(0)) + 0.02


@pytest.mark.parametrize("name", ["ctc", "classes", "hubert", "wavlm", "ast"])
def test_outputs_are_those_of_transformers_own_preprocessing(transformers: Any, saved: Path, name: str) -> None:
    model, x = load(f"hf:{saved / name}"), sounds(2, 8000)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(saved / name)
    given = extractor([row[0].numpy() for row in x], sampling_rate=16_000, return_tensors="pt").input_values
    net = getattr(transformers, type(model.net).__name__).from_pretrained(saved / name).eval()
    with torch.no_grad():
        wanted = net(given)[0]
        heard = model.activations(x, ["output"])["output"]
    torch.testing.assert_close(heard if wanted.dim() == 2 else heard.transpose(1, 2), wanted, rtol=1e-3, atol=1e-4)
    assert wanted.std() > 1e-3


def test_what_a_network_hears_and_its_labels_come_from_its_files(saved: Path) -> None:
    ctc, classes, ast = (load(f"hf:{saved / name}") for name in ("ctc", "classes", "ast"))
    assert (ctc.audio_spec.rate, ctc.audio_spec.least, ctc.audio_spec.normalize) == (16_000, 400, "clip")
    assert ctc.labels == tuple(LETTERS)
    assert classes.labels == ast.labels == ("speech", "music")
    assert (ast.audio_spec.samples, ast.audio_spec.least, ast.audio_spec.normalize) == (63 * 160 + 400, 400, "none")
    assert load(f"hf:{saved / 'hubert'}").labels is None
    assert (ctc.name, ctc.source, ctc.weights.source) == ("ctc", "hf:ctc", "hf:ctc")  # no path in any recipe
    assert str(saved) not in json.dumps(describe(ctc))


def test_a_wave_of_the_least_length_is_heard_and_a_shorter_or_longer_one_refused(saved: Path) -> None:
    for name in ("ctc", "ast"):
        model = load(f"hf:{saved / name}")
        assert model.activations(sounds(1, 400), ["output"])["output"].numel() > 0
    with pytest.raises(UsageError, match=r"a sound of 0\.665 s is longer than the 0\.655 s \(10480 samples\)"):
        model.activations(sounds(1, 64 * 160 + 400), ["output"])


def test_layers_keep_their_own_names_and_time_is_known(transformers: Any, saved: Path) -> None:
    for name in ("ctc", "ast"):
        model = load(f"hf:{saved / name}")
        own = getattr(transformers, type(model.net).__name__).from_pretrained(saved / name)
        named = {module for module, _ in own.named_modules()}
        assert {layer for layer in model.layers if not layer.startswith("front")} - {"output"} <= named
    ctc, ast = load(f"hf:{saved / 'ctc'}").layers, model.layers
    encoded = next(layer for name, layer in ctc.items() if name.endswith("encoder.layers.1"))
    assert (encoded.channels, encoded.spatial, encoded.stride) == (16, (1, 49), 320)
    patches = next(layer for name, layer in ast.items() if name.endswith("layers.1"))
    assert (patches.channels, patches.spatial, patches.tokens, patches.stride) == (16, (2, 5), (2, 2, 5), 1600)
    assert (ast["front"].channels, ast["front"].spatial) == (1, (64, 32))


def test_a_token_of_ast_lies_where_its_patch_is(saved: Path) -> None:
    model, name = load(f"hf:{saved / 'ast'}"), "audio_spectrogram_transformer.embeddings.patch_embeddings"
    with torch.no_grad():
        tokens = model.activations(sounds(1, 8000), [name, f"{name}.projection"])
    grid = tokens[name].unflatten(2, model.layers[name].spatial)
    torch.testing.assert_close(grid, tokens[f"{name}.projection"])


def test_the_engine_works_on_a_copy_and_clips_rise(saved: Path) -> None:
    for name, target in (("ctc", "logit:E"), ("ast", "logit:speech"), ("wavlm", "encoder.layers.0:3")):
        model = load(f"hf:{saved / name}")
        assert model.prepared().net is not model.net
        before = model.weights.sha256
        first, last = (
            render_sound(model, target, config=AudioConfig(seconds=0.2, steps=steps, still=True))[0].activation
            for steps in (1, 12)
        )
        assert last > first
        assert load(f"hf:{saved / name}").weights.sha256 == before


def test_weights_are_random_only_when_asked_and_a_file_takes_their_place(saved: Path, tmp_path: Path) -> None:
    folder = saved / "ctc"
    trained, random, again = (load(f"hf:{folder}", weights=weights) for weights in (None, "random", "random"))
    assert trained.weights.sha256 != random.weights.sha256 == again.weights.sha256
    state = load_file(folder / "model.safetensors")
    state["lm_head.bias"] += 1
    save_file(state, tmp_path / "other.safetensors")
    other = load(f"hf:{folder}", weights=tmp_path / "other.safetensors")
    assert other.weights.source == "file:other.safetensors"
    torch.testing.assert_close(other.net.lm_head.bias, trained.net.lm_head.bias + 1)
    del state["lm_head.bias"]
    save_file(state, tmp_path / "half.safetensors")
    with pytest.raises(
        WeightsError, match=r"half\.safetensors lacks or misfits 1 of its weights, such as lm_head\.bias"
    ):
        load(f"hf:{folder}", weights=tmp_path / "half.safetensors")


def test_a_head_of_training_is_left_out(saved: Path) -> None:
    model = load(f"hf:{saved / 'pretraining'}")
    assert model.layers["output"].channels == 16
    assert not [entry for entry in model.net.state_dict() if "quantizer" in entry]


def test_a_recipe_starts_no_download_of_its_own_choice(saved: Path) -> None:
    model = load(f"hf:{saved / 'ctc'}")
    recipe = {"model": json.loads(json.dumps(describe(model)))}
    with pytest.raises(RecipeError, match="a file starts no download of its own choice"):
        recorded_model(recipe, None)
    again = recorded_model(recipe, None, named=f"hf:{saved / 'ctc'}")
    assert again.weights == model.weights


def test_what_cannot_be_opened_is_one_clear_line(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phosphene.models.hugging_face.hub_answers", lambda: False)
    monkeypatch.setattr("phosphene.models.hugging_face.in_hub_cache", lambda *_: None)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))
    for name, error, said in (
        (
            "facebook/wav2vec2-base",
            WeightsError,
            "is not on this machine, and the hub of Hugging Face cannot be reached",
        ),
        ("no/such/folder", UsageError, "no folder 'no/such/folder': hf:OWNER/NAME is a repository"),
        (str(tmp_path / "empty"), PhospheneError, "cannot open hf:"),
        (str(tmp_path / "text"), UsageError, "is a bert; those that can be heard are wav2vec2, hubert, wavlm"),
    ):
        with pytest.raises(error, match=said) as caught:
            load(f"hf:{name}")
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="hears sounds; give an AudioSpec"):
        load(f"hf:{saved / 'ctc'}", spec=InputSpec())


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r'pip install "phosphene\[transformers\]"'):
        load("hf:facebook/wav2vec2-base")
