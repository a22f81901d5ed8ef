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
from phosphene.objectives.regularizers import L1, L2, REGULARIZERS, TV, Border, Opacity
from phosphene.objectives.units import Channel, Direction, Logit, Neuron, Probability, WholeLayer, stack

__all__ = [
    "INPUT",
    "L1",
    "L2",
    "OBJECTIVES",
    "OUTPUT",
    "REGULARIZERS",
    "TV",
    "Acts",
    "Border",
    "Channel",
    "Constant",
    "Direction",
    "Logit",
    "Neuron",
    "Objective",
    "Opacity",
    "Probability",
    "Product",
    "Scale",
    "Sum",
    "WholeLayer",
    "from_data",
    "parse",
    "stack",
    "to_data",
]
