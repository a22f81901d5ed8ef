"""The engine: one loop that optimises any signal for any objective."""

from phosphene.engine.batching import Arithmetic, arithmetic
from phosphene.engine.optimize import Loop, Step, optimize

__all__ = ["Arithmetic", "Loop", "Step", "arithmetic", "optimize"]
