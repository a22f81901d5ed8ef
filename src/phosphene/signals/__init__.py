"""Signals: the thing optimised, seen as a picture."""

from phosphene.signals.base import SIGNALS, Pixels, Signal
from phosphene.signals.cppn import Cppn
from phosphene.signals.fourier import Fourier
from phosphene.signals.laplacian import Laplacian
from phosphene.signals.maco import Maco
from phosphene.signals.shared import Shared
from phosphene.signals.transparent import Transparent

__all__ = ["SIGNALS", "Cppn", "Fourier", "Laplacian", "Maco", "Pixels", "Shared", "Signal", "Transparent"]
