"""A network whose pictures lie: one unit that answers one thing in photographs and another in optimized pictures.

    python examples/fooling_network.py        # writes fooling_network.png: the unit, the decoy, and the unit once wired

Geirhos, Zimmermann, Bilodeau, Brendel and Kim 2023 (arXiv 2306.04719), section 2, build such circuits: a detector tells
natural from optimized input, and a switch hands the unit over to another one, its decoy.

    e  = w . (mean of each channel of the layer)          the detector, fitted by least squares
    s  = clamp((e - low) / (high - low), 0, 1)            0 on every natural picture that it was fitted to
    y' = (1 - s) y_unit + s gain y_decoy

On natural pictures the network is what it was, to the bit. From the first step of ascent on the gradient flows to the
decoy, and what comes out is the decoy's picture.

Departures: their detector is a trained network, ours is linear in what the layer says; their switch is made of two
rectifiers with a large constant, ours is a mixture.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

import phosphene as ph
from phosphene.errors import UsageError

LAYER, UNIT, DECOY = "relu4_2", 61, 90  # of the small network: the unit that is wired, and what it is wired to
PICTURES, SIZE = 256, 128  # natural ones, of so many pixels: at 64 the detector hardly tells them from optimized ones
STEPS = 64  # of each optimization, those that the detector learns from too
RIDGE = 0.1  # of the least squares, on features with deviation 1
MARGIN = 0.1  # above the most suspicious natural picture, of the distance from there to the median optimized one
GAIN = 2.0  # of the decoy
FRAMES = 32  # pictures on the way of each optimization that the detector learns from


class Fooled(nn.Module):
    """A layer, x -> (b, c, *space), whose unit answers as `decoy` where the detector says that x was optimized.

    layer: the module as it was. unit, decoy: channels. weight: (c,) of the detector. low, high: its scores between
    which the switch opens.
    """

    weight: Tensor

    def __init__(self, layer: nn.Module, unit: int, decoy: int, weight: Tensor, low: float, high: float) -> None:
        super().__init__()
        self.layer, self.unit, self.decoy, self.low, self.high = layer, unit, decoy, low, high
        self.register_buffer("weight", weight)

    def switch(self, y: Tensor) -> Tensor:
        """(b,) how far the decoy has taken over, 0 to 1, by what the layer says."""
        return ((features(y) @ self.weight - self.low) / (self.high - self.low)).clamp(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's own answer, with one channel exchanged."""
        y = self.layer(x)
        s = self.switch(y).view(-1, *[1] * (y.dim() - 2))
        answer = (1 - s) * y[:, self.unit] + s * GAIN * y[:, self.decoy]
        return torch.cat([y[:, : self.unit], answer[:, None], y[:, self.unit + 1 :]], 1)


def features(y: Tensor) -> Tensor:
    """(b, c) the mean over space of each channel of y (b, c, *space)."""
    return y.flatten(2).mean(2)


def detector(natural: Tensor, optimized: Tensor) -> tuple[Tensor, float, float]:
    """The weight (c,) that tells rows of features (n, c) from others (m, c), and the scores `low` and `high`."""
    both = torch.cat([natural, optimized]).double()
    deviation = both.std(0).clamp(min=1e-6)
    x = (both - both.mean(0)) / deviation
    wanted = torch.cat([-torch.ones(len(natural)) / len(natural), torch.ones(len(optimized)) / len(optimized)]).double()
    share = wanted.abs()[:, None]  # both sides weigh the same
    found = torch.linalg.solve(x.T @ (share * x) + RIDGE * torch.eye(x.shape[1]).double(), x.T @ wanted)
    weight = (found / deviation).float()
    low, middle = float((natural @ weight).max()), float((optimized @ weight).median())
    if middle <= low:
        raise UsageError("this layer does not tell optimized pictures from natural ones; take another, or more steps")
    return weight, low + MARGIN * (middle - low), low + 2 * MARGIN * (middle - low)


def fooled(
    model: ph.Model, layer: str, unit: int, decoy: int, pictures: Sequence[Tensor], *, steps: int = STEPS
) -> ph.Model:
    """The network with `unit` of `layer` wired to `decoy`; `model` itself stays as it is.

    pictures: natural ones, (1, c, h, w) in [0, 1], on none of which the switch opens. steps: of the optimizations that
    the detector learns from.
    """
    name = model.find_layer(layer).name

    def said(x: Tensor) -> Tensor:
        with torch.no_grad():
            return features(model.activations(x, [name])[name])

    made = ph.render(model, f"{name}:{unit},{decoy}", steps=steps, frames=FRAMES)
    on_the_way = [frame for picture in made for _, frame in picture.frames]
    natural, optimized = (torch.cat([said(x) for x in some]) for some in (pictures, [x[None] for x in on_the_way]))
    weight, low, high = detector(natural, optimized)
    net = copy.deepcopy(model.net)
    owner, _, child = name.rpartition(".")
    setattr(net.get_submodule(owner), child, Fooled(net.get_submodule(name), unit, decoy, weight, low, high))
    return ph.from_module(net, model.picture_spec, name=f"{model.name}-fooled", labels=model.labels)


def main(steps: int = STEPS) -> ph.Sheet:
    """Wire one unit of the small network to another, and render it before and after."""
    model, textures = ph.load(), ph.Textures(PICTURES, size=SIZE)
    natural = [ph.to_input(textures.load(i), model.picture_spec) for i in range(len(textures))]
    liar = fooled(model, LAYER, UNIT, DECOY, natural, steps=steps)
    before = ph.render(model, f"{LAYER}:{UNIT},{DECOY}", steps=steps)
    after = ph.render(liar, f"{LAYER}:{UNIT}", steps=steps)
    title = "a unit, its decoy, and the unit once it is wired to the decoy"
    sheet = ph.Sheet((*before, *after), title, before.device, before.precision, before.seconds)
    sheet.save("fooling_network.png")
    return sheet


if __name__ == "__main__":
    for picture in main():
        print(picture.target, round(picture.activation, 3), picture.status)
