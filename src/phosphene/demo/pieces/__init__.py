"""The pieces of the demo, in the order of the page. A new one is a file here and an entry in `PIECES`."""

from phosphene.demo.piece import Piece
from phosphene.demo.pieces import (
    animation,
    card,
    classes,
    diversity,
    dream,
    layer,
    logit_or_probability,
    reconstruct,
    signals,
    silent,
    sound,
    style,
)

PIECES: tuple[Piece, ...] = (
    classes.PIECE,
    layer.PIECE,
    logit_or_probability.PIECE,
    silent.PIECE,
    animation.PIECE,
    diversity.PIECE,
    signals.PIECE,
    card.PIECE,
    dream.PIECE,
    style.PIECE,
    reconstruct.PIECE,
    sound.PIECE,
)

__all__ = ["PIECES"]
