"""The engine without the application around it: every step is yours.

    python examples/your_own_loop.py          # writes your_own_loop.png, after stopping by itself

`optimize` is a generator. Here the run stops once the score has doubled since step 8.
"""

from __future__ import annotations

import torch
from torchvision.utils import save_image

import phosphene as ph
from phosphene.seeds import Generators
from phosphene.transforms import build


def main(steps: int = 256, size: int = 96) -> int:
    """Optimise one class of a network with random weights; returns the steps it took."""
    model = ph.load("squeezenet1_1", weights="random")
    objective = (ph.Channel("features.7", 3) - 0.001 * ph.TV()).bind(model)
    config = ph.RenderConfig(size=size, steps=steps)
    signal = ph.Fourier(rows=1, size=(size, size))
    signal.start(Generators(config.seed, [objective.identity(0)]))
    transform = build(config.transform, size=(size, size), steps=steps)
    early = float("inf")
    for step in ph.optimize(objective, model.prepared("cpu"), signal, transform, config):
        if step.i == 8:
            early = abs(step.scores.item())
        if step.i > 8 and step.scores.item() > 2 * early:
            break
    with torch.no_grad():
        save_image(signal(), "your_own_loop.png")
    return step.i


if __name__ == "__main__":
    print(main(), "steps")
