"""`yamnet`: a network that knows 521 kinds of sound, from speech to a chainsaw.

Plakal and Ellis, YAMNet (TensorFlow Models, 2020, Apache-2.0): MobileNet v1 (Howard et al. 2017, arXiv 1704.04861) on
log-mel spectrograms of 0.975 s, trained on AudioSet (Gemmeke et al. 2017). A sound may be of several kinds, so each
class has a sigmoid of its own behind its logit: `logit:Whistling`, not `prob:`.

    wave (b, 1, n) -> |STFT| -> 64 mel bands -> log -> 14 convolutions -> mean over time and frequency -> 521 logits

Departures: a longer clip is heard as a whole, its mean taken over all its time; the published code cuts it into
windows of 0.96 s. At 15600 samples, the length of a clip where nobody says, the two are the same. Logits on silence
are extreme, near -400 on average, so a clip that is silent in part is low in all classes but Silence.
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor, nn
from torch.nn.functional import pad

from phosphene.errors import WeightsError
from phosphene.models.frontend import Spectrum, mel_weights
from phosphene.models.spec import AudioSpec
from phosphene.models.weights import RANDOM, cached_weights, published

NAME = "yamnet"
LICENSE = "Apache-2.0"
CLASSES = 521
LABELS = "yamnet_classes.json"  # a list of the names in output order, beside the weights
RATE, WINDOW, HOP, N_FFT = 16_000, 400, 160, 512  # Hz, samples
BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0  # mel bands (HTK), Hz
LOG_FLOOR = 1e-3
WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
AHEAD = 3.0  # weight of a class's lead over the others: with 1, Drum stays behind Music (docs/sound.md)
# In its convolutions frequencies are positions, so a statistic over positions lets a sound move up and down; in the mel
# spectrum before them they are channels. With their Gram matrices the loss of a robin's texture stays at half of white
# noise's, and what `mel` alone finds has 6% of that same loss. Content as its layer table has it.
ROLES = ("layer5.depthwise_relu", ("mel",))
SPEC = AudioSpec(rate=RATE, samples=15_600, least=15_600)


class SameConv2d(nn.Conv2d):
    """A 3x3 convolution with TensorFlow's SAME padding: as many outputs as inputs over stride, the rest behind."""

    def forward(self, input: Tensor) -> Tensor:
        sides = []
        for size in (input.shape[3], input.shape[2]):
            missing = max((-(-size // self.stride[0]) - 1) * self.stride[0] + 3 - size, 0)
            sides += [missing // 2, missing - missing // 2]
        return super().forward(pad(input, sides))


class Yamnet(nn.Module):
    """The network, waves (b, 1, n) at 16 kHz -> logits (b, 521)."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = Spectrum(N_FFT, window=WINDOW, hop=HOP)
        self.mel = nn.Linear(N_FFT // 2 + 1, BANDS)
        self.mel.weight.data = mel_weights(RATE, N_FFT, BANDS, LOWEST, HIGHEST)
        self.mel.bias.data.zero_()
        channels = 1
        for k, (width, stride) in enumerate(zip(WIDTHS, STRIDES, strict=True), 1):
            layer = nn.Sequential()
            if k == 1:
                layer.add_module("conv", SameConv2d(channels, width, 3, stride=stride))
                layer.add_module("relu", nn.ReLU())
            else:
                layer.add_module("depthwise", SameConv2d(channels, channels, 3, stride=stride, groups=channels))
                layer.add_module("depthwise_relu", nn.ReLU())
                layer.add_module("pointwise", nn.Conv2d(channels, width, 1))
                layer.add_module("relu", nn.ReLU())
            self.add_module(f"layer{k}", layer)
            channels = width
        self.classifier = nn.Linear(channels, CLASSES)

    def forward(self, wave: Tensor) -> Tensor:
        x = (self.mel(self.spectrum(wave).transpose(1, 2)) + LOG_FLOOR).log()[:, None]
        for k in range(1, len(WIDTHS) + 1):
            x = self.get_submodule(f"layer{k}")(x)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def load_yamnet(weights: str | Path | None = None) -> tuple[Yamnet, str]:
    """The network with its published weights, or random ones ("random"); and where they came from.

    None looks for the file as `find_weights` does. Raises WeightsError when it is nowhere or is another network's.
    Nothing is downloaded.
    """
    return published(Yamnet, NAME, weights)


def class_names(weights: str | Path | None = None) -> tuple[str, ...] | None:
    """The names of the classes, from yamnet_classes.json beside the weights; None where there is no such file.

    Raises WeightsError when the file is there and holds anything but 521 names.
    """
    file = cached_weights(NAME) if weights in (None, RANDOM) else Path(str(weights)).expanduser()
    names = file.with_name(LABELS) if file is not None else None
    if names is None or not names.is_file():
        return None
    try:
        found = json.loads(names.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, list) or len(found) != CLASSES or not all(isinstance(name, str) for name in found):
        raise WeightsError(f"{names} is no list of {CLASSES} class names")
    return tuple(found)
