"""Signals: the thing optimised, seen as a picture or heard as a sound."""

from phosphene.signals.base import SIGNALS, Pixels, Signal
from phosphene.signals.cppn import Cppn
from phosphene.signals.fourier import Fourier
from phosphene.signals.laplacian import Laplacian
from phosphene.signals.maco import Maco
from phosphene.signals.modulated import Modulated
from phosphene.signals.shared import Shared
from phosphene.signals.transparent import Transparent
from phosphene.signals.waveform import WAVES, FourierWave, Samples, ShortTime, Wave

__all__ = [
    "SIGNALS",
    "WAVES",
    "Cppn",
    "Fourier",
    "FourierWave",
    "Laplacian",
    "Maco",
    "Modulated",
    "Pixels",
    "Samples",
    "Shared",
    "ShortTime",
    "Signal",
    "Transparent",
    "Wave",
]
