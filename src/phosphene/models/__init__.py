"""Models: a network with its preprocessing, layer table and labels."""

from phosphene.models.choice import style_layers
from phosphene.models.edges import replicated_edges
from phosphene.models.frontend import Fbank, LogMel, Spectrum
from phosphene.models.gradient import Gradient
from phosphene.models.model import Model
from phosphene.models.normalized import mean_activations, normalize_activations
from phosphene.models.pooling import average_pooling
from phosphene.models.preprocess import classify, to_input
from phosphene.models.registry import DEFAULT_MODEL, ModelEntry, from_module, is_known, known, load
from phosphene.models.spec import AudioSpec, InputSpec, Layer, WeightsInfo

__all__ = [
    "DEFAULT_MODEL",
    "AudioSpec",
    "Fbank",
    "Gradient",
    "InputSpec",
    "Layer",
    "LogMel",
    "Model",
    "ModelEntry",
    "Spectrum",
    "WeightsInfo",
    "average_pooling",
    "classify",
    "from_module",
    "is_known",
    "known",
    "load",
    "mean_activations",
    "normalize_activations",
    "replicated_edges",
    "style_layers",
    "to_input",
]
