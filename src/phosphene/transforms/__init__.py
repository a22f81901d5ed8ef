"""Transforms: random changes between signal and network."""

from phosphene.transforms.image import PRESETS, Params, Ranges, Warp, build, ranges

__all__ = ["PRESETS", "Params", "Ranges", "Warp", "build", "ranges"]
