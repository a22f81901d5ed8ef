"""Objectives: what an optimised input is scored by, as data."""

from phosphene.objectives.acts import INPUT, OUTPUT, Acts
from phosphene.objectives.algebra import OBJECTIVES, Constant, Objective, Product, Scale, Sum
from phosphene.objectives.caricature import Caricature
from phosphene.objectives.classes import Classes, Logit, LogProbability, Margin, Probability
from phosphene.objectives.custom import Custom
from phosphene.objectives.data import from_data, to_data
from phosphene.objectives.directions import Direction, directions_of, whitened
from phosphene.objectives.families import Alignment, Diversity, Family, interpolate
from phosphene.objectives.parse import parse
from phosphene.objectives.regularizers import L1, L2, REGULARIZERS, TV, TV2, Blur, Border, Frequency, Opacity
from phosphene.objectives.sound import Density, HighPass, Slope, TVFrequency, TVTime
from phosphene.objectives.stack import stack
from phosphene.objectives.statistics import MASK, Content, Gram, Statistic, aim, on_grid, unaimed
from phosphene.objectives.units import Channel, Neuron, WholeLayer
from phosphene.objectives.wasserstein import Moments, SlicedWasserstein

__all__ = [
    "INPUT",
    "L1",
    "L2",
    "MASK",
    "OBJECTIVES",
    "OUTPUT",
    "REGULARIZERS",
    "TV",
    "TV2",
    "Acts",
    "Alignment",
    "Blur",
    "Border",
    "Caricature",
    "Channel",
    "Classes",
    "Constant",
    "Content",
    "Custom",
    "Density",
    "Direction",
    "Diversity",
    "Family",
    "Frequency",
    "Gram",
    "HighPass",
    "LogProbability",
    "Logit",
    "Margin",
    "Moments",
    "Neuron",
    "Objective",
    "Opacity",
    "Probability",
    "Product",
    "Scale",
    "SlicedWasserstein",
    "Slope",
    "Statistic",
    "Sum",
    "TVFrequency",
    "TVTime",
    "WholeLayer",
    "aim",
    "directions_of",
    "from_data",
    "interpolate",
    "on_grid",
    "parse",
    "stack",
    "to_data",
    "unaimed",
    "whitened",
]
