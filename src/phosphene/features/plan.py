"""From what was asked to what will be done: targets bound to a network, grouped into batches, checked before any work.

Targets whose trees have the same shape join one group and share batches (`features.12:3` and `features.12:7` are one
batch of two). Everything that can be wrong is found here, in a forward pass on one gray picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor

from phosphene.engine.batching import is_out_of_memory
from phosphene.engine.optimizers import learning_rate
from phosphene.errors import PhospheneError, UsageError
from phosphene.features.members import check_whole, rebuilt
from phosphene.features.references import aimed, chosen, fitted, names
from phosphene.media import MAX_PIXELS, quantize
from phosphene.models import Model
from phosphene.natural import natural
from phosphene.objectives import INPUT, Classes, Objective, Opacity, parse, stack
from phosphene.recipe import RenderConfig
from phosphene.signals import SIGNALS
from phosphene.transforms import ranges

TRIED_SIZES = (16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 224, 256, 299, 384, 512)  # pixels, to name one that works
START_OPACITY = 0.9  # of a start picture that brings no alpha channel of its own


@dataclass(frozen=True)
class Plan:
    """What will be rendered: groups of rows, each one bound objective; canvas (height, width).

    order: (group, row) of each picture, in the order in which it was asked for. references: the pictures (c, h, w) that
    the groups look at, by name, as they were given.
    """

    model: Model
    groups: tuple[Objective, ...]
    order: tuple[tuple[int, int], ...]
    config: RenderConfig
    canvas: tuple[int, int]
    references: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Pictures in all."""
        return sum(group.rows for group in self.groups)


def plan(
    model: Model,
    targets: str | Objective | Sequence[str | Objective],
    config: RenderConfig,
    *,
    references: Mapping[str, Tensor] | None = None,
    start: Tensor | None = None,
) -> Plan:
    """Bind, group and check targets; raises UsageError before anything is computed in earnest.

    references: pictures (c, h, w) in [0, 1] that the targets look at. start: the one that serves as `start`.
    """
    asked = [targets] if isinstance(targets, (str, Objective)) else list(targets)
    if not asked:
        raise UsageError("nothing to render: give a target such as features.12:7")
    canvas = config.canvas(model.picture_spec.size)
    if canvas[0] * canvas[1] > MAX_PIXELS:
        raise UsageError(
            f"{canvas[0]} x {canvas[1]} is over {MAX_PIXELS // 1_000_000} megapixels; use a smaller --size"
        )
    groups: list[Objective] = []
    order: list[tuple[int, int]] = []
    for target in asked:
        bound = (parse(target) if isinstance(target, str) else target).bind(model)
        check_whole(bound)
        if config.signal.shared and bound.together == 1:
            raise UsageError(
                f"shared is for pictures that belong together, and {bound} has none: --diversity 4, or "
                f"... + 0.02*alignment(LAYER, group={max(2, bound.rows)})"
            )
        order += join(groups, with_opacity(bound, config))
    wanted = sorted({name for group in groups for name in names(group)})
    pictures = chosen(wanted, references or {}, start)
    for group in groups:
        if group.together > 1 and config.optimizer.optimizer == "lbfgs":
            raise UsageError(f"L-BFGS optimises one picture at a time, and {group.together} of {group} belong together")
        _check_size(model, group.take(range(group.together)), canvas, config, pictures)
    return Plan(model, tuple(groups), tuple(order), resolved(replace(config, size=canvas)), canvas, pictures)


def join(groups: list[Objective], bound: Objective) -> list[tuple[int, int]]:
    """Put a target into the first group of its shape, or into a new one; the (group, row) of its pictures."""
    rows = bound.rows  # raises when its parts disagree
    for i, group in enumerate(groups):
        joined = stack(group, bound)
        if joined is not None:
            groups[i] = joined
            return [(i, row) for row in range(joined.rows - rows, joined.rows)]
    groups.append(bound)
    return [(len(groups) - 1, row) for row in range(rows)]


def resolved(config: RenderConfig) -> RenderConfig:
    """The config with every preset, default and measured file written out: a recipe outlives a change of any."""
    transform = replace(config.transform, **asdict(ranges(config.transform)))
    optimizer, signal = config.optimizer, config.signal
    suited = SIGNALS[signal.signal].step_size if optimizer.optimizer == "adam" else None
    optimizer = replace(optimizer, lr=optimizer.lr or suited or learning_rate(optimizer))
    if signal.natural is not None:
        signal = replace(signal, natural=natural(signal.natural).to_text())
    return replace(config, signal=signal, transform=transform, optimizer=optimizer)


def named(objective: Objective, model: Model) -> Objective:
    """The same tree with class names in place of numbers, where the model has unambiguous ones."""

    def change(leaf: Objective) -> Objective:
        if not isinstance(leaf, Classes):
            return leaf
        return type(leaf)(tuple(_class_name(unit, model) for unit in leaf.units), leaf.layer)

    return rebuilt(objective, change)


def _class_name(unit: int | str, model: Model) -> int | str:
    if not isinstance(unit, int) or model.labels is None:
        return unit
    label = model.label(unit)
    return label if model.labels.count(label) == 1 and not label.isdigit() else unit


def with_opacity(objective: Objective, config: RenderConfig) -> Objective:
    """With an alpha channel a unit is worth showing only where it matters: score * (1 - mean opacity) (lucid)."""
    has_opacity = any(isinstance(leaf, Opacity) for leaf in objective.leaves())
    if config.signal.alpha:
        return objective if has_opacity else objective * (1 - Opacity())
    if has_opacity:
        raise UsageError("opacity needs an alpha channel: add --alpha (SignalConfig(alpha=True))")
    return objective


def kept_steps(snapshots: Sequence[int], frames: int, steps: int) -> frozenset[int]:
    """Steps whose pictures are kept: the snapshots, and `frames` that crowd where the picture changes fast: early."""
    if frames < 0:
        raise UsageError(f"frames must not be negative, got {frames}")
    wrong = [step for step in snapshots if not 1 <= step <= steps]
    if wrong:
        raise UsageError(f"snapshots must lie in 1 .. {steps} (the steps), got {', '.join(map(str, wrong))}")
    spaced = {max(1, round(steps * (k / frames) ** 2)) for k in range(1, frames + 1)}
    return frozenset(snapshots) | spaced


def start_picture(init: Tensor | None, work: Plan) -> Tensor | None:
    """The picture to start from, resized to the canvas and given the signal's channels."""
    if init is None:
        return None
    if not SIGNALS[work.config.signal.signal].encodes:
        raise UsageError(f"a {work.config.signal.signal} cannot start from a picture; use fourier, pixels or laplacian")
    channels = work.model.picture_spec.channels
    x = fitted(init, work.canvas, channels, "a start picture")
    if work.config.signal.alpha and x.shape[0] == channels:
        x = quantize(torch.cat([x, torch.full((1, *work.canvas), START_OPACITY)]))
    return x if work.config.signal.alpha else x[:channels]


def _check_size(
    model: Model, rows: Objective, canvas: tuple[int, int], config: RenderConfig, pictures: Mapping[str, Tensor]
) -> None:
    problem = _problem_at(model, rows, canvas, config, pictures)
    if problem is None:
        return
    if isinstance(problem, UsageError):
        raise problem
    if is_out_of_memory(problem):
        raise PhospheneError(f"out of memory at one picture of {canvas[0]} x {canvas[1]}; use a smaller --size")
    sizes = [(side, side) for side in TRIED_SIZES if side > min(canvas)]
    smallest = next(
        (
            size
            for size in [*sizes, model.picture_spec.size]
            if _problem_at(model, rows, size, config, pictures) is None
        ),
        None,
    )
    layers = ", ".join(sorted(rows.layers - {INPUT}))
    reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    raise UsageError(
        f"{model.name} cannot take a picture of {canvas[0]} x {canvas[1]} as far as {layers}"
        + (f"; --size {_side(smallest)} works" if smallest else "")
        + f" ({reason:.120})"
    ) from problem


def _side(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def _problem_at(
    model: Model, rows: Objective, size: tuple[int, int], config: RenderConfig, pictures: Mapping[str, Tensor]
) -> Exception | None:
    """What goes wrong when one gray picture of this size is scored, as each of `rows`; None when all is well."""
    channels = model.picture_spec.channels
    layers = rows.layers - {INPUT}
    try:
        with torch.no_grad():
            gray = torch.full((1, channels + config.signal.alpha, *size), 0.5, device=model.device)
            acts: dict[str, Tensor] = {INPUT: gray}
            if layers:
                acts.update(model.activations(gray[:, :channels], layers))
            empty = next((name for name in layers if acts[name].numel() == 0), None)
            if empty is not None:
                return ValueError(f"nothing is left of the picture at {empty}")
            seen = {name: values.expand(rows.rows, *values.shape[1:]) for name, values in acts.items()}
            aimed(rows, model, pictures, size)(seen, torch.arange(rows.rows, device=model.device))
    except (RuntimeError, AssertionError, ValueError, ZeroDivisionError, IndexError, TypeError, UsageError) as error:
        return error
    return None
