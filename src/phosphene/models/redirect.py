"""Gradient through dead ReLUs, for the rows that need it, without touching the network.

A unit that is silent on noise has zero gradient, and older tools return a grey square. For the rows of `rows`, a
rectifier whose backward pass would be blocked everywhere lets the upward part of the gradient through instead:

    plain      dx = dy [x > 0]
    redirected dx = max(dy, 0)       only where dx would be zero over the whole row

`dy` is the gradient of the score, so its positive part is "more of this". Works on module and functional rectifiers
alike (a TorchFunctionMode sees both) and keeps the aliasing of in-place ones. The forward pass is unchanged.

Source: redirected ReLU, lucid (Olah et al. 2017). Departures: lucid redirects the first 16 steps of every example; we
redirect only rows that are dead, for as long as they are (the engine decides, `engine/optimize.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# Rectifiers: functions with a region of exactly zero slope below some input, and the end of that region.
DEAD_BELOW: dict[Any, float] = {
    F.relu: 0.0,
    torch.relu: 0.0,
    torch.relu_: 0.0,
    Tensor.relu: 0.0,
    Tensor.relu_: 0.0,
    F.relu_: 0.0,
    F.relu6: 0.0,
    F.hardtanh: -1.0,
    F.hardswish: -3.0,
    F.hardsigmoid: -3.0,
}
RELUS = (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu_)  # their output tells where they are open


class Redirect(TorchFunctionMode):
    """Context in which rectifiers redirect the gradient of the given rows. rows: (b*v,) bool."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = rows

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        floor = DEAD_BELOW.get(func)
        x = args[0] if args else kwargs.get("input")
        if floor is None or not isinstance(x, Tensor) or not x.requires_grad or x.shape[:1] != self.rows.shape:
            return func(*args, **kwargs)
        if func is F.hardtanh:
            floor = float(args[1] if len(args) > 1 else kwargs.get("min_val", floor))
        options = {name: value for name, value in kwargs.items() if name != "input"}
        if func in RELUS:
            return _RedirectedReLU.apply(x, func, args[1:], options, self.rows)
        return _Redirected.apply(x, func, args[1:], options, floor, self.rows)


class _RedirectedReLU(torch.autograd.Function):
    """A ReLU with the redirected backward pass. It keeps its output alone, as torch's own does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, func: Callable[..., Tensor], args: Any, kwargs: Any, rows: Tensor) -> Tensor:
        y = func(x, *args, **kwargs)
        if y is x:
            ctx.mark_dirty(x)
        ctx.save_for_backward(y, rows)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        y, rows = ctx.saved_tensors
        plain = torch.ops.aten.threshold_backward(gradients[0], y, 0)
        return redirected(gradients[0], plain, y, 0.0, rows), None, None, None, None


class _Redirected(torch.autograd.Function):
    """A rectifier with the redirected backward pass; an in-place one stays in place."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, func: Callable[..., Tensor], args: Any, kwargs: Any, floor: float, rows: Tensor
    ) -> Tensor:
        with torch.enable_grad():
            probe = x.detach().clone().requires_grad_()
            work = probe * 1  # an in-place rectifier may not write on a leaf
            y = func(work, *args, **kwargs)
            (slope,) = torch.autograd.grad(y.sum(), probe)
        ctx.save_for_backward(slope, probe.detach(), rows)
        ctx.floor = floor
        if y is work:
            x.copy_(y.detach())
            ctx.mark_dirty(x)
            return x
        return y.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        slope, before, rows = ctx.saved_tensors
        plain = gradients[0] * slope
        return redirected(gradients[0], plain, before, ctx.floor, rows), None, None, None, None, None


def redirected(gradient: Tensor, plain: Tensor, values: Tensor, floor: float, rows: Tensor) -> Tensor:
    """The plain gradient; for those of `rows` that have none, the upward part of `gradient` where values <= floor."""
    blocked = rows & (plain.abs().sum(tuple(range(1, plain.dim()))) == 0)
    if plain.device.type == "cpu" and not bool(blocked.any()):  # elsewhere a look would wait for the device
        return plain
    upward = gradient.clamp(min=0) * (values <= floor)
    return torch.where(blocked.view(-1, *[1] * (plain.dim() - 1)), upward, plain)
