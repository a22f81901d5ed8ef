"""Objectives: what an optimised input is scored by, as data."""

from phosphene.objectives.algebra import (
    INPUT,
    OBJECTIVES,
    OUTPUT,
    Acts,
    Constant,
    Objective,
    Product,
    Scale,
    Sum,
    from_data,
    to_data,
)
from phosphene.objectives.parse import parse
from phosphene.objectives.regularizers import L1, L2, REGULARIZERS, TV, TV2, Border, Opacity
from phosphene.objectives.statistics import MASK, Content, Gram, Statistic, aim, on_grid, unaimed
from phosphene.objectives.units import Channel, Direction, Logit, Neuron, Probability, WholeLayer, stack
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
    "Border",
    "Channel",
    "Constant",
    "Content",
    "Direction",
    "Gram",
    "Logit",
    "Moments",
    "Neuron",
    "Objective",
    "Opacity",
    "Probability",
    "Product",
    "Scale",
    "SlicedWasserstein",
    "Statistic",
    "Sum",
    "WholeLayer",
    "aim",
    "from_data",
    "on_grid",
    "parse",
    "stack",
    "to_data",
    "unaimed",
]
