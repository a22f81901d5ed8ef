"""A sound to look at: the wave above its log-mel spectrogram, frequencies in Hz and time in seconds.

The spectrogram has 96 mel bands (HTK) and shows the 70 dB below its loudest place: what is darker is not heard beside
it.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from phosphene.models.frontend import LogMel, to_mel

WIDTH, HEIGHT, WAVE = 480, 192, 64  # pixels of the spectrogram, and height of the wave above it
LEFT, TOP, BOTTOM, RIGHT, GAP = 52, 8, 24, 14, 8  # pixels of the margins, and between the two
BANDS, LOWEST = 96, 40.0  # mel bands, Hz
WINDOW = 0.064  # seconds of a window: lines of a voice stay apart
RANGE = 70.0  # dB shown
DECIBELS = 20 / np.log(10)  # per unit of the natural logarithm of a magnitude
MAGNITUDE_FLOOR = 1e-7
TICKS = (100, 200, 500, 1000, 2000, 4000, 8000, 16_000)  # Hz
GROUND, INK, LINE, MARK = (17, 17, 17), (190, 190, 190), (125, 185, 225), (245, 165, 60)  # 8-bit RGB
# dark to bright with even steps of lightness, violet through orange
COLORS = np.array(
    [(0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (252, 255, 164)]
)
FONT = 11  # pixels


def sound_picture(sound: Tensor, rate: int, span: tuple[int, int] | None = None) -> Image.Image:
    """The wave of (channels, samples) in [-1, 1] above its log-mel spectrogram; the first channel is drawn.

    span: [first, end) of samples that a bar between the two marks.
    """
    size = (LEFT + WIDTH + RIGHT, TOP + WAVE + GAP + HEIGHT + BOTTOM)
    image = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(FONT)
    image.paste(_wave(sound[0]), (LEFT, TOP))
    above = TOP + WAVE + GAP
    image.paste(spectrogram(sound[0], rate), (LEFT, above))
    if span is not None:
        first, end = (LEFT + (WIDTH - 1) * at / sound.shape[-1] for at in span)
        draw.rectangle((first, TOP + WAVE + 2, max(end, first + 2), above - 3), MARK)
    low, high = (float(to_mel(torch.tensor(hertz), "htk")) for hertz in (LOWEST, rate / 2))
    free = float(above + HEIGHT + FONT)  # from here up there is room for a label
    for hertz in TICKS:
        if LOWEST < hertz <= rate / 2:
            place = above + HEIGHT * (1 - (float(to_mel(torch.tensor(float(hertz)), "htk")) - low) / (high - low))
            draw.line([(LEFT - 4, place), (LEFT - 1, place)], INK)
            if place <= free:
                text = f"{hertz} Hz" if hertz == 100 else str(hertz)
                draw.text((LEFT - 7, max(place, above + FONT / 2)), text, INK, font, anchor="rm")
                free = place - FONT - 1
    seconds = sound.shape[-1] / rate
    for k in range(5):
        x = LEFT + k * (WIDTH - 1) / 4
        draw.line([(x, above + HEIGHT), (x, above + HEIGHT + 3)], INK)
        text = f"{seconds * k / 4:.2f}" + (" s" if k == 4 else "")
        draw.text((x, above + HEIGHT + 6), text, INK, font, anchor="lt" if k == 0 else "rt" if k == 4 else "mt")
    return image


def _wave(sound: Tensor) -> Image.Image:
    """The extremes of the wave, column by column; full height is its own peak."""
    image = Image.new("RGB", (WIDTH, WAVE), GROUND)
    draw = ImageDraw.Draw(image)
    peak = max(float(sound.abs().max()), 1e-9)
    for x, part in enumerate(torch.tensor_split(sound, WIDTH)):
        if len(part):
            top, bottom = (WAVE / 2 * (1 - 0.96 * float(v) / peak) for v in (part.max(), part.min()))
            draw.line([(x, top), (x, max(bottom, top + 1))], LINE)
    return image


def spectrogram(sound: Tensor, rate: int) -> Image.Image:
    """The log-mel spectrogram of samples (n,) in [-1, 1], low frequencies below, without axes."""
    window = max(16, min(round(WINDOW * rate), sound.shape[-1] // 2))
    n_fft = 1 << max(12, window.bit_length())  # as fine as the narrowest band
    around = window // 2
    padded = torch.nn.functional.pad(sound[None, None], (around, around))
    hop = max(1, sound.shape[-1] // WIDTH)
    front = LogMel(
        rate, n_fft=n_fft, window=window, hop=hop, bands=BANDS, lowest=LOWEST, highest=rate / 2, floor=MAGNITUDE_FLOOR
    )
    levels = front(padded)[0, 0].T.flip(0).numpy() * DECIBELS
    shown = np.clip((levels - levels.max()) / RANGE + 1, 0, 1) * (len(COLORS) - 1)
    planes = [np.interp(shown, np.arange(len(COLORS)), COLORS[:, c]) for c in range(3)]
    image = Image.fromarray(np.stack(planes, -1).round().astype(np.uint8))
    return image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
