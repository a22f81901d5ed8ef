"""Everything that is needed to make a picture again: the settings, as frozen dataclasses.

Each default of the project is written here and nowhere else: command-line flags, Python defaults, web forms and
the recipe inside a picture are made from these fields. `jsondata.py` takes them to JSON and back.
"""

from phosphene.jsondata import SCHEMA, check_schema, from_json, to_json
from phosphene.recipe.render import (
    MAX_FAMILY,
    DiversityConfig,
    OptimizerConfig,
    RenderConfig,
    RunConfig,
    SignalConfig,
    TransformConfig,
)
from phosphene.recipe.settings import Settings, check_least, check_positive, check_size
from phosphene.recipe.style import (
    TRADEOFF_RATIOS,
    Edges,
    ReconstructConfig,
    StyleConfig,
    TextureConfig,
    TradeoffConfig,
)

__all__ = [
    "MAX_FAMILY",
    "SCHEMA",
    "TRADEOFF_RATIOS",
    "DiversityConfig",
    "Edges",
    "OptimizerConfig",
    "ReconstructConfig",
    "RenderConfig",
    "RunConfig",
    "Settings",
    "SignalConfig",
    "StyleConfig",
    "TextureConfig",
    "TradeoffConfig",
    "TransformConfig",
    "check_least",
    "check_positive",
    "check_schema",
    "check_size",
    "from_json",
    "to_json",
]
