"""`silero_vad_16k`: Silero's voice activity detector, which hears whether somebody speaks.

Silero Team 2021 (MIT), the branch for 16 kHz: a learned STFT, four convolutions, an LSTM over chunks of 32 ms, one
logit for each chunk. A chunk is 512 new samples and the 64 before them, silence before the first.

    wave (b, 1, n) -> chunks (b, 1, 576, chunks) -> |STFT| -> convolutions -> LSTM -> logits (b, 1, chunks)

Chunks lie on an axis of their own, as the frames of `crepe.py` do. The class is `logit:speech`; with one class there is
nothing to compare it with, and no `prob:`.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from phosphene.models.frontend import Frames
from phosphene.models.spec import AudioSpec
from phosphene.models.weights import published

NAME = "silero_vad_16k"
LICENSE = "MIT"
LABELS = ("speech",)
CHUNK, CONTEXT = 512, 64  # samples
N_FFT, HOP = 256, 128  # samples
BINS = N_FFT // 2 + 1
CONVOLUTIONS = ((BINS, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1))  # channels in, out, stride
SPEC = AudioSpec(rate=16_000, samples=16_384, least=CHUNK)
CELL = re.compile(r"lstm_cell\.((?:weight|bias)_[ih]h)")  # the published file has one step of the LSTM


class ChunkConv1d(nn.Conv1d):
    """A convolution inside each chunk: (b, c, time, chunks) -> (b, c', time', chunks)."""

    def forward(self, input: Tensor) -> Tensor:
        rows, _, _, chunks = input.shape
        inside: Tensor = super().forward(input.permute(0, 3, 1, 2).flatten(0, 1))
        return inside.view(rows, chunks, *inside.shape[1:]).permute(0, 2, 3, 1)


class SileroVAD(nn.Module):
    """The network, waves (b, 1, n) at 16 kHz -> logits (b, 1, chunks); samples that fill no chunk are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.chunks = Frames(CONTEXT + CHUNK, CHUNK)
        self.stft_conv = ChunkConv1d(1, 2 * BINS, N_FFT, stride=HOP, bias=False)
        for k, (before, width, stride) in enumerate(CONVOLUTIONS, 1):
            self.add_module(f"conv{k}", ChunkConv1d(before, width, 3, stride=stride, padding=1))
            self.add_module(f"relu{k}", nn.ReLU())
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.relu = nn.ReLU()
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, wave: Tensor) -> Tensor:
        chunks = self.chunks(pad(wave, (CONTEXT, 0)))
        mirrored = chunks[:, :, -CONTEXT - 1 : -1].flip(2)
        real, imaginary = self.stft_conv(torch.cat([chunks, mirrored], 2)).float().split(BINS, 1)
        x = torch.complex(real, imaginary).abs()
        for k in range(1, len(CONVOLUTIONS) + 1):
            x = self.get_submodule(f"relu{k}")(self.get_submodule(f"conv{k}")(x))
        heard, _ = self.lstm(x.squeeze(2).transpose(1, 2))
        logits: Tensor = self.final_conv(self.relu(heard).transpose(1, 2))
        return logits


def load_silero(weights: str | Path | None = None) -> tuple[SileroVAD, str]:
    """The network with its published weights, or random ones ("random"); and where they came from.

    None looks for the file as `find_weights` does. Raises WeightsError when it is nowhere or is another network's.
    Nothing is downloaded.
    """
    return published(SileroVAD, NAME, weights, rename=own_name)


def own_name(entry: str) -> str:
    """What an entry of the published file is called here."""
    return CELL.sub(r"lstm.\1_l0", entry)
