"""Networks of Hugging Face that hear (the extra `transformers`), with the preprocessing that their own files state.

    wav2vec 2.0, HuBERT, WavLM    wave, each clip at mean 0 and deviation 1 where the files say so -> network
    AST                           wave -> Kaldi's log-mel energies -> (x - mean) / (2 std) -> network

Baevski et al. 2020 (arXiv 2006.11477), Hsu et al. 2021 (2106.07447), Chen et al. 2021 (2110.13900), Gong et al. 2021
(2104.01778). `hf:OWNER/NAME` is a repository of the hub, downloaded when it is asked for and not here yet; `hf:FOLDER`
is one that `save_pretrained` wrote. What leads from a wave to the network is a hook in front of it, so that the layers
keep their own names. Code that a repository may hold is never run.

Departures: heads that only training uses are left out, and of other tasks than those below there is the encoder alone.
AST refuses a clip that is longer than it hears; its published front end cuts off the rest in silence.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad

from phosphene.errors import MissingExtraError, PhospheneError, UsageError, WeightsError
from phosphene.models.frontend import KALDI_HOP, KALDI_WINDOW, Fbank
from phosphene.models.heard import Grid, audio_table
from phosphene.models.hub import hub_answers, in_hub_cache
from phosphene.models.model import Model
from phosphene.models.spec import AudioSpec, WeightsInfo
from phosphene.models.weights import RANDOM, find_weights, read_state_dict, same_random_weights, weights_sha256

PREFIX = "hf"
EXTRA = "transformers"
AST = "audio-spectrogram-transformer"
FAMILIES = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM", AST: "AST"}  # model_type -> its classes
CTC = "ForCTC"
HEADS = (CTC, "ForSequenceClassification", "ForAudioFrameClassification", "ForAudioClassification")
REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
NEEDED = (  # one of each; the last are the weights
    ("config.json",),
    ("preprocessor_config.json",),
    ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"),
)
ONLY_IN_TRAINING = ("masked_spec_embed",)  # of an entry's name: what training puts where it hides the sound


class AstFront(nn.Module):
    """Waves (b, 1, n) -> (b, 1, frames, bands), filled up with silence to the frames that the network takes.

    Zeros are filled in before the normalization, as published. Raises UsageError for a longer wave.
    """

    def __init__(self, rate: int, bands: int, frames: int, mean: float, deviation: float) -> None:
        super().__init__()
        self.fbank = Fbank(rate, bands=bands)
        self.rate, self.frames, self.mean, self.deviation = rate, frames, mean, deviation

    def forward(self, wave: Tensor) -> Tensor:
        heard = self.fbank(wave)
        missing = self.frames - heard.shape[2]
        if missing < 0:
            most = ((self.frames - 1) * KALDI_HOP + KALDI_WINDOW) * self.rate
            raise UsageError(
                f"a sound of {wave.shape[-1] / self.rate:.4g} s is longer than the {most / self.rate:.4g} s "
                f"({most:.0f} samples) that the network hears"
            )
        return (pad(heard, (0, 0, 0, missing)) - self.mean) / (2 * self.deviation)


def load_hugging_face(
    name: str, weights: str | Path | None, spec: AudioSpec | None, labels: Sequence[str] | None
) -> Model:
    """The network of a repository of the hub, or of a folder of the same files.

    weights, spec, labels: as for `load`. Raises MissingExtraError without transformers, UsageError for a network of
    another kind, WeightsError when the files are nowhere or do not fit, PhospheneError with transformers' reason.
    """
    transformers = _transformers()
    where, here = _place(name, NEEDED if weights is None else NEEDED[:2])
    with _silent(transformers):
        config = _asked(name, transformers.AutoConfig, where, here)
        family = FAMILIES.get(config.model_type)
        if family is None:
            raise UsageError(f"hf:{name} is a {config.model_type}; those that can be heard are {', '.join(FAMILIES)}")
        extractor = _asked(name, transformers.AutoFeatureExtractor, where, here)
        head = next((head for head in HEADS if f"{family}{head}" in (config.architectures or ())), "Model")
        net = _network(name, getattr(transformers, family + head), config, where, here, weights)
        if labels is None and head != "Model":
            labels = _letters(transformers, where, here, config) if head == CTC else _classes(config)
    own, grid = _prepared(net, config, extractor)
    given = spec or own
    title = Path(where).resolve().name if Path(where).is_dir() else name
    return Model(
        net,
        given,
        name=title,
        source=f"{PREFIX}:{title}",
        weights=WeightsInfo(_origin(title, weights), weights_sha256(net)),
        labels=None if labels is None else tuple(labels),
        table=audio_table(net, given, grid=grid) if grid is not None else None,
    )


def _transformers() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", EXTRA) from error
    return transformers


def _place(name: str, needed: Sequence[Sequence[str]]) -> tuple[str, bool]:
    """What transformers reads, and whether it is on this machine already: one file of each of those needed."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(folder), True
    if not REPOSITORY.fullmatch(name):
        raise UsageError(f"no folder '{name}': hf:OWNER/NAME is a repository of the hub, hf:FOLDER one that is here")
    if all(any(in_hub_cache(name, file) for file in files) for files in needed):
        return name, True
    if not hub_answers():
        raise WeightsError(
            f"hf:{name} is not on this machine, and the hub of Hugging Face cannot be reached: fetch its files "
            "elsewhere and name their folder, hf:FOLDER"
        )
    return name, False


def _asked(name: str, kind: Any, where: str | None, here: bool, **options: Any) -> Any:
    """What `kind.from_pretrained` gives; a slip, a gate, a damaged file and no network have errors of their own."""
    try:
        return kind.from_pretrained(where, local_files_only=here, trust_remote_code=False, **options)
    except Exception as error:
        raise PhospheneError(f"cannot open hf:{name}: {' '.join(str(error).split())}") from error


def _network(name: str, kind: Any, config: Any, where: str, here: bool, weights: str | Path | None) -> nn.Module:
    """The network with its own weights, those of a file, or random ones. Raises WeightsError unless all are there."""
    if weights == RANDOM:
        with same_random_weights():
            made: nn.Module = kind(config)
        return made
    options = {"config": config, "dtype": "float32", "output_loading_info": True}
    if weights is None:
        net, told = _asked(name, kind, where, here, **options)
    else:
        state = read_state_dict(find_weights(name, weights))
        net, told = _asked(name, kind, None, True, state_dict=state, **options)
    missing = sorted(entry for entry in told["missing_keys"] if not entry.endswith(ONLY_IN_TRAINING))
    wrong = missing + sorted(str(entry) for entry in told["mismatched_keys"])
    if wrong:
        raise WeightsError(
            f"{weights or f'hf:{name}'} lacks or misfits {len(wrong)} of its weights, such as {wrong[0]}"
        )
    found: nn.Module = net
    return found


def _prepared(net: nn.Module, config: Any, extractor: Any) -> tuple[AudioSpec, Grid | None]:
    """Put the way from a wave in front of a network; what it hears, and how AST's tokens lie."""
    rate = int(extractor.sampling_rate)
    if config.model_type != AST:
        net.register_forward_pre_hook(_as_samples)
        least = 1
        for kernel, stride in reversed(list(zip(config.conv_kernel, config.conv_stride, strict=True))):
            least = (least - 1) * stride + kernel
        spec = AudioSpec(rate=rate, samples=max(rate, least), least=least)
        return (replace(spec, normalize="clip") if extractor.do_normalize else spec), None
    mean, deviation = (extractor.mean, extractor.std) if extractor.do_normalize else (0.0, 0.5)  # as it is
    net.add_module("front", AstFront(rate, extractor.num_mel_bins, extractor.max_length, mean, deviation))
    net.register_forward_pre_hook(_as_spectrogram)
    window, hop = int(KALDI_WINDOW * rate), int(KALDI_HOP * rate)
    rows, columns = (
        (size - config.patch_size) // stride + 1
        for size, stride in (
            (config.num_mel_bins, config.frequency_stride), (config.max_length, config.time_stride)
        )
    )  # fmt: skip
    spec = AudioSpec(rate=rate, samples=(extractor.max_length - 1) * hop + window, least=window)
    return spec, Grid(2, rows, columns, config.time_stride * hop)  # 2: the tokens of the class and of distillation


def _as_samples(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
    return (inputs[0][:, 0],)


def _as_spectrogram(net: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
    return (net.get_submodule("front")(inputs[0])[:, 0],)


def _classes(config: Any) -> tuple[str, ...]:
    return tuple(str(config.id2label[number]) for number in range(config.num_labels))


def _letters(transformers: Any, where: str, here: bool, config: Any) -> tuple[str, ...] | None:
    """The letters that a network for speech tells apart, from its vocab.json; None where that is none of its own."""
    file = transformers.utils.cached_file(
        where, "vocab.json", local_files_only=here, _raise_exceptions_for_missing_entries=False
    )
    try:
        numbers = json.loads(Path(file).read_text(encoding="utf-8")) if file else {}
        named = {number: letter for letter, number in numbers.items()}
    except (ValueError, AttributeError, TypeError):
        return None
    return tuple(named[k] for k in range(len(named))) if set(named) == set(range(config.vocab_size)) else None


def _origin(title: str, weights: str | Path | None) -> str:
    if weights == RANDOM:
        return RANDOM
    return f"{PREFIX}:{title}" if weights is None else f"file:{Path(weights).name}"


@contextmanager
def _silent(transformers: Any) -> Iterator[None]:
    """Without the library's bars, reports and warnings: what matters of them is an error here."""
    logs = transformers.utils.logging
    level, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity(logs.CRITICAL)
    logs.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logs.set_verbosity(level)
        if bars:
            logs.enable_progress_bar()
