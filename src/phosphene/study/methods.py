"""The spectrum of regularization: from nothing at all to the defaults, as settings of one and the same rendering.

    none                   pixels, no transforms, no price: the network's own gradient (Erhan et al. 2009)
    l1 l2 tv blur frequency   a price on the picture         (Olah et al. 2017, "Frequency penalization")
    gradient-blur          the gradient blurred, nothing else
    robust, tv+robust      random transforms between steps    (Mordvintsev et al. 2015)
    fourier                a decorrelated Fourier basis       (Olah et al. 2017, "Preconditioning")
    maco, maco+robust      phases of a fixed natural spectrum (Fel et al. 2023, arXiv 2306.06805)
    default                fourier + robust, and default+... with smoother gradients on top

A price has no scale of its own: units reach from 5 to 5000, prices from 1 to 50,000. Its weight is therefore given as a
share of the rise, as that of diversity is:

    weight = share * |rise| / price,   both of the picture that `none` makes

so that at 1 the picture without regularization would cost all that the unit gains by it. The shares below are the
largest of 0.03, 0.1, 0.3, 1 and 3 that left each of four units of two networks half of the activation that it reaches
without; beside transforms, which take their part, a share of 0.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from phosphene.errors import unknown
from phosphene.objectives import L1, L2, TV, Blur, Frequency, Objective, Scale
from phosphene.recipe import OptimizerConfig, RenderConfig, SignalConfig, TransformConfig

BASE, DEFAULT = "none", "default"
PIXELS = SignalConfig("pixels", decorrelate=False)
STILL = TransformConfig(transforms="none")
ROBUST = TransformConfig()
PLAIN = OptimizerConfig()
DIGITS = 3  # of a weight: what is beyond them is noise
SOFT = 1.0  # pixels: standard deviation of the blurs of the gradient


@dataclass(frozen=True)
class Method:
    """One way to regularize. name: of its file. title: for people. price, share: what is paid for and how much
    (see above); 0 for no price. The rest are the settings of its rendering.
    """

    name: str
    title: str
    signal: SignalConfig = PIXELS
    transform: TransformConfig = STILL
    optimizer: OptimizerConfig = PLAIN
    price: Objective | None = None
    share: float = 0.0

    def config(self, size: tuple[int, int], steps: int, seed: int) -> RenderConfig:
        """The settings of its rendering."""
        return RenderConfig(size, steps, seed, self.signal, self.transform, self.optimizer)

    def weight(self, rise: float, price: float) -> float:
        """The weight of its price, where the unregularized picture makes the unit rise so much and costs so much."""
        gained = self.share * abs(rise) / price if price > 0 else 0.0
        return float(f"{gained:.{DIGITS}g}") if gained > 0 and math.isfinite(gained) else self.share

    def target(self, unit: Objective, weight: float) -> Objective:
        """What is optimised: the unit, less the price."""
        return unit if self.price is None else unit + Scale(-weight, self.price)


METHODS = (
    Method(BASE, "nothing"),
    Method("l1", "L1", price=L1(), share=1.0),
    Method("l2", "L2", price=L2(), share=1.0),
    Method("tv", "total variation", price=TV(), share=1.0),
    Method("blur", "blur", price=Blur(), share=3.0),
    Method("frequency", "high frequencies", price=Frequency(), share=3.0),
    Method("gradient-blur", "gradient blurred", optimizer=replace(PLAIN, gradient_blur=SOFT)),
    Method("robust", "transforms", transform=ROBUST),
    Method("tv+robust", "TV + transforms", transform=ROBUST, price=TV(), share=0.3),
    Method("fourier", "Fourier basis", SignalConfig(), STILL),
    Method("maco", "MACO", SignalConfig("maco"), STILL),
    Method("maco+robust", "MACO + transforms", SignalConfig("maco"), ROBUST),
    Method(DEFAULT, "Fourier + transforms", SignalConfig(), ROBUST),
    Method(
        "default+pooling",
        "... + L2 pooling's gradient",
        SignalConfig(),
        ROBUST,
        replace(PLAIN, pool_gradient="l2"),
    ),
    Method(
        "default+blur",
        "... + blur at strides",
        SignalConfig(),
        ROBUST,
        replace(PLAIN, gradient_blur=SOFT, gradient_blur_at="strided"),
    ),
)


def chosen(names: str | None) -> tuple[Method, ...]:
    """Methods by their names, joined by commas; all when None. `none` comes first always: the weights need it."""
    known = {method.name: method for method in METHODS}
    asked = list(known) if names is None else [name.strip() for name in names.split(",") if name.strip()]
    for name in asked:
        if name not in known:
            raise unknown("method", name, "the study of regularization", known)
    return tuple(known[name] for name in dict.fromkeys([BASE, *asked]))
