"""Signals: the thing optimised, seen as a picture."""

from phosphene.signals.base import SIGNALS, Pixels, Signal
from phosphene.signals.fourier import Fourier

__all__ = ["SIGNALS", "Fourier", "Pixels", "Signal"]
