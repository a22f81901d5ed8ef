"""A unit in a row of small pictures: the optimized one, where there is one, and the strongest examples.

Of sounds there are the spectrograms, each over its whole time.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from phosphene.cards.card import Card
from phosphene.cards.sight import fitted
from phosphene.display.spectrogram import spectrogram
from phosphene.media import encode_picture, to_tensor

THUMB = 96  # pixels of a picture's side; shown at half of it
THUMBS = 3  # examples of each unit


def strip(card: Card) -> bytes:
    """The row as JPEG, each picture a square."""
    shown = [one.values for one in card.pictures.get("positive", ())]
    shown += [one.pixels for one in card.spectrum["maximum"][:THUMBS]]
    small = [heard(one, card.subject.rate) if card.subject.rate else seen(one) for one in shown]
    return encode_picture(torch.cat(small, 2), "JPEG")


def seen(pixels: Tensor) -> Tensor:
    """The middle of a picture (c, h, w), small."""
    height, width = pixels.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return fitted(pixels[:, top : top + side, left : left + side], THUMB)


def heard(sound: Tensor, rate: int) -> Tensor:
    """The spectrogram of a sound (c, samples) or (c, 1, samples), small."""
    return to_tensor(spectrogram(sound.flatten(1)[0], rate).resize((THUMB, THUMB), Image.Resampling.BOX))


def stripped(data: dict[str, Any]) -> list[str]:
    """What the pictures of the row show, from the JSON of the card."""
    made = [f"optimized for {data['name']}" for _ in data["pictures"].get("positive", ())]
    return made + [PurePosixPath(one["key"]).name for one in data["examples"]["maximum"][:THUMBS]]
