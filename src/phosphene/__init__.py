"""phosphene: show what is inside a neural network, and paint with it.

    import phosphene as ph
    model = ph.load()  # the small network inside the package; ph.load("squeezenet1_1") is a larger one
    sheet = ph.render(model, "logit:spiral", steps=256)
    sheet.save("sheet.png")

Names are imported on first use, so that `import phosphene` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phosphene.audio.config import SoundReconstructConfig as SoundReconstructConfig
    from phosphene.audio.config import SoundStyleConfig as SoundStyleConfig
    from phosphene.audio.config import SoundTextureConfig as SoundTextureConfig
    from phosphene.audio.reconstruct import sound_reconstruct as sound_reconstruct
    from phosphene.audio.sound import Sound as Sound
    from phosphene.audio.style import sound_style_transfer as sound_style_transfer
    from phosphene.audio.texture import sound_texture as sound_texture
    from phosphene.cards.book import book as book
    from phosphene.cards.card import Card as Card
    from phosphene.cards.config import CardConfig as CardConfig
    from phosphene.cards.config import ProbeConfig as ProbeConfig
    from phosphene.cards.making import card as card
    from phosphene.cards.probe import Probe as Probe
    from phosphene.cards.probe import probe as probe
    from phosphene.deepdream.api import dream as dream
    from phosphene.deepdream.config import DreamConfig as DreamConfig
    from phosphene.engine import Step as Step
    from phosphene.engine import optimize as optimize
    from phosphene.errors import PhospheneError as PhospheneError
    from phosphene.examples.config import ScanConfig as ScanConfig
    from phosphene.examples.index import Index as Index
    from phosphene.examples.index import merge as merge
    from phosphene.examples.scan import scan as scan
    from phosphene.features.audio_config import AudioConfig as AudioConfig
    from phosphene.features.clip import Clip as Clip
    from phosphene.features.clip import Clips as Clips
    from phosphene.features.grid import Grid as Grid
    from phosphene.features.grid import activation_grid as activation_grid
    from phosphene.features.picture import Picture as Picture
    from phosphene.features.picture import Sheet as Sheet
    from phosphene.features.render import Rendering as Rendering
    from phosphene.features.render import render as render
    from phosphene.features.rerun import rerun as rerun
    from phosphene.features.sound import render_sound as render_sound
    from phosphene.models import AudioSpec as AudioSpec
    from phosphene.models import Fbank as Fbank
    from phosphene.models import InputSpec as InputSpec
    from phosphene.models import LogMel as LogMel
    from phosphene.models import Model as Model
    from phosphene.models import average_pooling as average_pooling
    from phosphene.models import classify as classify
    from phosphene.models import from_module as from_module
    from phosphene.models import known as known
    from phosphene.models import load as load
    from phosphene.models import mean_activations as mean_activations
    from phosphene.models import normalize_activations as normalize_activations
    from phosphene.models import replicated_edges as replicated_edges
    from phosphene.models import style_layers as style_layers
    from phosphene.models import to_input as to_input
    from phosphene.objectives import L1 as L1
    from phosphene.objectives import L2 as L2
    from phosphene.objectives import TV as TV
    from phosphene.objectives import TV2 as TV2
    from phosphene.objectives import Alignment as Alignment
    from phosphene.objectives import Blur as Blur
    from phosphene.objectives import Border as Border
    from phosphene.objectives import Caricature as Caricature
    from phosphene.objectives import Channel as Channel
    from phosphene.objectives import Content as Content
    from phosphene.objectives import Custom as Custom
    from phosphene.objectives import Density as Density
    from phosphene.objectives import Direction as Direction
    from phosphene.objectives import Diversity as Diversity
    from phosphene.objectives import Frequency as Frequency
    from phosphene.objectives import Gram as Gram
    from phosphene.objectives import HighPass as HighPass
    from phosphene.objectives import Logit as Logit
    from phosphene.objectives import LogProbability as LogProbability
    from phosphene.objectives import Margin as Margin
    from phosphene.objectives import Moments as Moments
    from phosphene.objectives import Neuron as Neuron
    from phosphene.objectives import Objective as Objective
    from phosphene.objectives import Opacity as Opacity
    from phosphene.objectives import Probability as Probability
    from phosphene.objectives import SlicedWasserstein as SlicedWasserstein
    from phosphene.objectives import Slope as Slope
    from phosphene.objectives import TVFrequency as TVFrequency
    from phosphene.objectives import TVTime as TVTime
    from phosphene.objectives import WholeLayer as WholeLayer
    from phosphene.objectives import aim as aim
    from phosphene.objectives import directions_of as directions_of
    from phosphene.objectives import interpolate as interpolate
    from phosphene.objectives import parse as parse
    from phosphene.objectives import whitened as whitened
    from phosphene.recipe import OptimizerConfig as OptimizerConfig
    from phosphene.recipe import RenderConfig as RenderConfig
    from phosphene.recipe import RunConfig as RunConfig
    from phosphene.recipe import SignalConfig as SignalConfig
    from phosphene.recipe import StyleConfig as StyleConfig
    from phosphene.recipe import TransformConfig as TransformConfig
    from phosphene.signals import Cppn as Cppn
    from phosphene.signals import Fourier as Fourier
    from phosphene.signals import Laplacian as Laplacian
    from phosphene.signals import Maco as Maco
    from phosphene.signals import Pixels as Pixels
    from phosphene.signals import Shared as Shared
    from phosphene.signals import Signal as Signal
    from phosphene.study.classes import study_class as study_class
    from phosphene.study.config import FaithfulnessConfig as FaithfulnessConfig
    from phosphene.study.config import RegularizationConfig as RegularizationConfig
    from phosphene.study.faithfulness import study_faithfulness as study_faithfulness
    from phosphene.study.regularization import study_regularization as study_regularization
    from phosphene.style.api import style_transfer as style_transfer
    from phosphene.style.inputs import Mask as Mask
    from phosphene.style.painting import Painting as Painting
    from phosphene.style.reconstruct import reconstruct as reconstruct
    from phosphene.style.texture import texture as texture
    from phosphene.textures import Textures as Textures

# where each public name lives
_HOME = {
    "cards.book": ("book",),
    "cards.config": ("CardConfig", "ProbeConfig"),
    "cards.card": ("Card",),
    "cards.making": ("card",),
    "cards.probe": ("Probe", "probe"),
    "audio.config": ("SoundReconstructConfig", "SoundStyleConfig", "SoundTextureConfig"),
    "audio.reconstruct": ("sound_reconstruct",),
    "audio.sound": ("Sound",),
    "audio.style": ("sound_style_transfer",),
    "audio.texture": ("sound_texture",),
    "deepdream.api": ("dream",),
    "deepdream.config": ("DreamConfig",),
    "engine": ("Step", "optimize"),
    "errors": ("PhospheneError",),
    "features.grid": ("Grid", "activation_grid"),
    "examples.config": ("ScanConfig",),
    "examples.index": ("Index", "merge"),
    "examples.scan": ("scan",),
    "features.audio_config": ("AudioConfig",),
    "features.clip": ("Clip", "Clips"),
    "features.picture": ("Picture", "Sheet"),
    "features.render": ("Rendering", "render"),
    "features.rerun": ("rerun",),
    "features.sound": ("render_sound",),
    "models": (
        "AudioSpec", "Fbank", "InputSpec", "LogMel", "Model", "average_pooling", "classify", "from_module", "known",
        "load", "mean_activations", "normalize_activations", "replicated_edges", "style_layers", "to_input",
    ),
    "objectives": (
        "Alignment", "Blur", "Border", "Caricature", "Channel", "Content", "Custom", "Density", "Direction",
        "Diversity", "Frequency", "Gram", "HighPass", "L1", "L2", "LogProbability", "Logit", "Margin", "Moments",
        "Neuron", "Objective", "Opacity", "Probability", "SlicedWasserstein", "Slope", "TV", "TV2", "TVFrequency",
        "TVTime", "WholeLayer", "aim", "directions_of", "interpolate", "parse", "whitened",
    ),
    "recipe": ("OptimizerConfig", "RenderConfig", "RunConfig", "SignalConfig", "StyleConfig", "TransformConfig"),
    "signals": ("Cppn", "Fourier", "Laplacian", "Maco", "Pixels", "Shared", "Signal"),
    "style.api": ("style_transfer",),
    "style.inputs": ("Mask",),
    "style.painting": ("Painting",),
    "style.reconstruct": ("reconstruct",),
    "style.texture": ("texture",),
    "study.config": ("FaithfulnessConfig", "RegularizationConfig"),
    "study.regularization": ("study_regularization",),
    "study.classes": ("study_class",),
    "study.faithfulness": ("study_faithfulness",),
    "textures": ("Textures",),
}  # fmt: skip
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [*sorted(_MODULE), "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        globals()[name] = import_module("phosphene.version").version()
        return globals()[name]
    if name not in _MODULE:
        raise AttributeError(f"module 'phosphene' has no attribute {name!r}")
    value = getattr(import_module(f"phosphene.{_MODULE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
