"""Look inside a network of your own: say what it takes, name a layer, render.

    python examples/own_network.py            # writes own_network.png

The network here is random, so its pictures are random too; put yours in its place.
"""

from __future__ import annotations

import torch
from torch import nn

import phosphene as ph


def network() -> nn.Module:
    """A small convolutional classifier for gray pictures of 64 x 64."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 7, stride=2, padding=3),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 32, 5, stride=2, padding=2),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 4),
    )


def main(steps: int = 128) -> ph.Sheet:
    """Render eight channels of the second convolution and two classes."""
    spec = ph.InputSpec(channels=1, size=(64, 64), mean=(0.5,), std=(0.25,))
    model = ph.from_module(network(), spec, name="mine", labels=("apple", "pear", "plum", "fig"))
    sheet = ph.render(model, ["2:0..7", "logit:plum", "logit:fig"], steps=steps)
    sheet.save("own_network.png")
    return sheet


if __name__ == "__main__":
    for picture in main():
        print(picture.target, round(picture.activation, 3), picture.status)
