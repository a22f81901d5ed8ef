"""Transforms: random changes between signal and network."""

from phosphene.transforms.audio import QUIET, AudioParams, AudioRanges, Shake
from phosphene.transforms.image import PRESETS, Params, Ranges, Warp, build, ranges

__all__ = ["PRESETS", "QUIET", "AudioParams", "AudioRanges", "Params", "Ranges", "Shake", "Warp", "build", "ranges"]
