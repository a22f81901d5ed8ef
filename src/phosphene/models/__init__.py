"""Models: a network with its preprocessing, layer table and labels."""

from phosphene.models.model import Model
from phosphene.models.preprocess import classify, to_input
from phosphene.models.registry import ModelEntry, from_module, known, load
from phosphene.models.spec import InputSpec, Layer, WeightsInfo

__all__ = [
    "InputSpec",
    "Layer",
    "Model",
    "ModelEntry",
    "WeightsInfo",
    "classify",
    "from_module",
    "known",
    "load",
    "to_input",
]
