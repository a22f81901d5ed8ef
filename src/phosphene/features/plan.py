"""From what was asked to what will be done: targets bound to a network, grouped into batches, checked before any work.

Targets whose trees have the same shape join one group and share batches (`features.12:3` and `features.12:7` are one
batch of two). Everything that can be wrong is found here, in a forward pass on one gray picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from phosphene.engine.optimizers import learning_rate
from phosphene.errors import UsageError
from phosphene.models import Model
from phosphene.objectives import INPUT, Logit, Objective, Opacity, Probability, parse, stack
from phosphene.recipe import RenderConfig
from phosphene.transforms import ranges

TRIED_SIZES = (
    16,
    24,
    32,
    48,
    64,
    80,
    96,
    128,
    160,
    192,
    224,
    256,
    299,
    384,
    512,
)  # pixels, when naming a size that works


@dataclass(frozen=True)
class Plan:
    """What will be rendered: groups of rows, each one bound objective; canvas (height, width)."""

    model: Model
    groups: tuple[Objective, ...]
    config: RenderConfig
    canvas: tuple[int, int]

    @property
    def rows(self) -> int:
        """Pictures in all."""
        return sum(group.rows for group in self.groups)


def plan(model: Model, targets: str | Objective | Sequence[str | Objective], config: RenderConfig) -> Plan:
    """Bind, group and check targets; raises UsageError before anything is computed in earnest."""
    asked = [targets] if isinstance(targets, (str, Objective)) else list(targets)
    if not asked:
        raise UsageError("nothing to render: give a target such as features.12:7")
    groups: list[Objective] = []
    for target in asked:
        bound = (parse(target) if isinstance(target, str) else target).bind(model)
        bound = _with_opacity(bound, config)
        bound.rows  # noqa: B018 - raises when its parts disagree
        for i, group in enumerate(groups):
            joined = stack(group, bound)
            if joined is not None:
                groups[i] = joined
                break
        else:
            groups.append(bound)
    canvas = config.canvas(model.spec.size)
    for group in groups:
        _check_size(model, group.take([0]), canvas, config)
    return Plan(model, tuple(groups), resolved(replace(config, size=canvas)), canvas)


def resolved(config: RenderConfig) -> RenderConfig:
    """The config with every preset and default written out, so that a recipe outlives a change of either."""
    transform = replace(config.transform, **asdict(ranges(config.transform)))
    optimizer = replace(config.optimizer, lr=learning_rate(config.optimizer))
    return replace(config, transform=transform, optimizer=optimizer)


def named(objective: Objective, model: Model) -> Objective:
    """The same tree with class names in place of numbers, where the model has unambiguous ones."""
    if isinstance(objective, (Logit, Probability)):
        return type(objective)(tuple(_class_name(unit, model) for unit in objective.units), objective.layer)
    if not objective.children:
        return objective
    children = tuple(named(child, model) for child in objective.children)
    changes: dict[str, Any] = {"of": children[0]} if len(children) == 1 else {"parts": children}
    return replace(objective, **changes)


def _class_name(unit: int | str, model: Model) -> int | str:
    if not isinstance(unit, int) or model.labels is None:
        return unit
    label = model.label(unit)
    return label if model.labels.count(label) == 1 and not label.isdigit() else unit


def _with_opacity(objective: Objective, config: RenderConfig) -> Objective:
    """With an alpha channel a unit is worth showing only where it matters: score * (1 - mean opacity) (lucid)."""
    has_opacity = any(isinstance(leaf, Opacity) for leaf in objective.leaves())
    if config.signal.alpha:
        return objective if has_opacity else objective * (1 - Opacity())
    if has_opacity:
        raise UsageError("opacity needs an alpha channel: add --alpha (SignalConfig(alpha=True))")
    return objective


def _check_size(model: Model, row: Objective, canvas: tuple[int, int], config: RenderConfig) -> None:
    problem = _problem_at(model, row, canvas, config)
    if problem is None:
        return
    if isinstance(problem, UsageError):
        raise problem
    sizes = [(side, side) for side in TRIED_SIZES if side > min(canvas)]
    works = next((size for size in [model.spec.size, *sizes] if _problem_at(model, row, size, config) is None), None)
    smallest = next((size for size in sizes if _problem_at(model, row, size, config) is None), works)
    hint = f"; --size {(smallest or works or (0,))[0]} works" if smallest or works else ""
    layers = ", ".join(sorted(row.layers - {INPUT}))
    reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    raise UsageError(
        f"{model.name} cannot take a picture of {canvas[0]} x {canvas[1]} as far as {layers}{hint} ({reason:.120})"
    ) from problem


def _problem_at(model: Model, row: Objective, size: tuple[int, int], config: RenderConfig) -> Exception | None:
    """What goes wrong when one gray picture of this size is scored; None when all is well."""
    channels = model.spec.channels
    gray = torch.full((1, channels + config.signal.alpha, *size), 0.5, device=model.device)
    layers = row.layers - {INPUT}
    try:
        with torch.no_grad():
            acts: dict[str, Tensor] = {INPUT: gray}
            if layers:
                acts.update(model.activations(gray[:, :channels], layers))
            empty = next((name for name in layers if acts[name].numel() == 0), None)
            if empty is not None:
                return ValueError(f"nothing is left of the picture at {empty}")
            row(acts, torch.zeros(1, dtype=torch.int64, device=model.device))
    except (RuntimeError, AssertionError, ValueError, ZeroDivisionError, IndexError, TypeError, UsageError) as error:
        return error
    return None
