"""A unit in a row of small pictures: the optimized one, where there is one, and the strongest examples."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import torch

from phosphene.cards.making import Card
from phosphene.cards.sight import fitted
from phosphene.media import encode_picture

THUMB = 96  # pixels of a picture's side; shown at half of it
THUMBS = 3  # examples of each unit


def strip(card: Card) -> bytes:
    """The row as JPEG, each picture cut to a square."""
    pictures = [one.pixels for one in card.pictures.get("positive", ())]
    pictures += [one.pixels for one in card.spectrum["maximum"][:THUMBS]]
    squares = []
    for pixels in pictures:
        height, width = pixels.shape[1:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        squares.append(fitted(pixels[:, top : top + side, left : left + side], THUMB))
    return encode_picture(torch.cat(squares, 2), "JPEG")


def stripped(data: dict[str, Any]) -> list[str]:
    """What the pictures of the row show, from the JSON of the card."""
    made = [f"optimized for {data['name']}" for _ in data["pictures"].get("positive", ())]
    return made + [PurePosixPath(one["key"]).name for one in data["examples"]["maximum"][:THUMBS]]
