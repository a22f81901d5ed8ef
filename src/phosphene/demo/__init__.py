"""The demo: a few things worth seeing in a network, rendered and explained on one page.

It stands beside the command line: what it makes is what the commands on its page make, to the pixel.
"""

from phosphene.demo.piece import Piece, Stage, Take
from phosphene.demo.pieces import PIECES
from phosphene.demo.run import Demo, PieceBegun, PieceDone

__all__ = ["PIECES", "Demo", "Piece", "PieceBegun", "PieceDone", "Stage", "Take"]
