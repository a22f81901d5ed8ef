"""How much of a painting's style do `minivgg`'s features carry over? Measured by other networks.

    python tools/minivgg_style.py --weights build/minivgg/minivgg.safetensors --judges MODELS \\
        --paintings painting.jpg ... --photos photo.jpg ...

A picture starts as the photograph (or as noise) and is optimised, in the Fourier basis, until its Gram matrices at
relu1_1 .. relu5_1 of the network equal the painting's (Gatys, Ecker and Bethge 2015, arXiv 1508.06576, equations 3-5),
without any content term. Then networks that took no part measure the style distance E_l of their own layers before and
after: the share removed is 1 - E_l(after) / E_l(before). The judges are SqueezeNet 1.1 and the compressed VGG-19, from
a folder of their weights; each can be the painter too (--painter), which tells what a real network reaches.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from minivgg_teacher import TEACHER_LAYERS, Teacher
from PIL import Image
from torch import Tensor

from phosphene.models import Model, load
from phosphene.signals import Fourier

SQUEEZE_LAYERS = ("features.1", "features.4", "features.7", "features.9", "features.12")  # after each change of scale
SIZE = 224  # pixels of the longer side
STEPS = 60  # L-BFGS iterations
NO_LOW_PASS = 1.7  # cycles per pixel: a style may have any frequency
HISTORY = 20  # gradient pairs kept

Features = Callable[[Tensor], list[Tensor]]


def of_model(model: Model, layers: tuple[str, ...]) -> Features:
    """The activations of some layers, as a function of pictures in [0, 1]."""
    net = model.prepared(memory_format=torch.channels_last)
    return lambda x: list(net.activations(x, layers).values())


def networks(weights: Path, judges: Path) -> dict[str, Features]:
    """The network under test and its judges, by name."""
    return {
        "minivgg": of_model(load("minivgg", weights=weights), TEACHER_LAYERS),
        "random": of_model(load("minivgg", weights="random"), TEACHER_LAYERS),
        "squeezenet1_1": of_model(load("squeezenet1_1", weights=judges / "squeezenet1_1.safetensors"), SQUEEZE_LAYERS),
        "vgg19_cd16x": Teacher(judges / "vgg19_cd16x.safetensors").features,
    }


def grams(features: list[Tensor]) -> list[Tensor]:
    """The mean outer product of the feature vectors over positions, one (c, c) matrix a layer."""
    flat = [x.float().flatten(2)[0] for x in features]
    return [f @ f.T / f.shape[1] for f in flat]


def distances(found: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """E_l of each layer, relative to the squared norm of what is wanted: 1 for a picture without any features."""
    return torch.stack([((a - b) ** 2).sum() / (b**2).sum() for a, b in zip(found, wanted, strict=True)])


def painted(start: Tensor, painting: Tensor, features: Features, steps: int) -> Tensor:
    """The start, after its Gram matrices were made those of the painting."""
    with torch.no_grad():
        wanted = grams(features(painting))
    signal = Fourier(1, size=(start.shape[2], start.shape[3]), cutoff=NO_LOW_PASS)
    signal.encode(start)
    search = torch.optim.LBFGS(
        signal.parameters(),
        max_iter=steps,
        max_eval=2 * steps,
        history_size=HISTORY,
        line_search_fn="strong_wolfe",
        tolerance_grad=0,
        tolerance_change=0,
    )

    def closure() -> Tensor:
        search.zero_grad()
        loss = distances(grams(features(signal())), wanted).sum()
        loss.backward()
        return loss.detach()

    search.step(closure)
    return signal().detach()


def removed(before: Tensor, after: Tensor, painting: Tensor, features: Features) -> list[float]:
    """The share of the style distance that is gone, layer by layer."""
    with torch.no_grad():
        wanted = grams(features(painting))
        first, last = (distances(grams(features(x)), wanted) for x in (before, after))
    return (1 - last / first).tolist()


def read(path: Path) -> Tensor:
    """(1, 3, h, w) in [0, 1], the longer side SIZE pixels."""
    with Image.open(path) as image:
        scale = SIZE / max(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        picture = np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS), np.float32) / 255
    return torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous()


def save(x: Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((x[0].permute(1, 2, 0) * 255).round().byte().numpy()).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--judges", type=Path, required=True)
    parser.add_argument("--paintings", type=Path, nargs="+", required=True)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--painter", default="minivgg")
    parser.add_argument("--noise", action="store_true", help="start from noise instead of the photographs")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=Path("build/minivgg/style"))
    args = parser.parse_args()
    nets = networks(args.weights, args.judges)
    results = []
    for k, path in enumerate(args.paintings):
        painting, photo = read(path), read(args.photos[k % len(args.photos)])
        generator = torch.Generator().manual_seed(k)
        start = torch.rand(photo.shape, generator=generator) if args.noise else photo
        after = painted(start, painting, nets[args.painter], args.steps)
        shares = {judge: removed(start, after, painting, nets[judge]) for judge in ("squeezenet1_1", "vgg19_cd16x")}
        save(after, args.out / f"{path.stem}-{'noise' if args.noise else args.photos[k % len(args.photos)].stem}.png")
        results.append({"painting": path.stem, "photo": args.photos[k % len(args.photos)].stem, **shares})
        print(json.dumps({**results[-1], **{j: [round(s, 3) for s in v] for j, v in shares.items()}}), flush=True)
    for judge in ("squeezenet1_1", "vgg19_cd16x"):
        each = np.array([result[judge] for result in results])
        print(f"{judge}: by layer {each.mean(0).round(3).tolist()}, mean {each.mean():.3f}")
    (args.out / f"{args.painter}.json").write_text(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
