"""Do `minivgg`'s class pictures show what the classes are? Measured without the network.

    python tools/minivgg_truth.py --second build/minivgg-2/minivgg.safetensors --out build/minivgg/truth

Renders `logit:CLASS` for every class, measures the dominant orientation of the stripes (structure tensor), the mean
hue of the colors and the lattice of the checkerboard and the grid (autocorrelation), does the same with pictures of the
data themselves, and asks a second network, trained from another seed, what it sees in each picture.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import phosphene as ph
from phosphene.textures import CLASSES, Textures
from phosphene.textures.colors import NAMED
from phosphene.textures.ruled import ANGLES

STEPS, SIZE = 256, 128  # those of `phosphene render` where nothing is said; pixels
SMOOTH = 1.5  # pixels, the blur before the structure tensor: without it grain decides, 9 degrees off on true stripes
CONTROLS, CONTROL_SEED = 40, 5  # pictures of each class
NEAREST, FARTHEST = (
    6,
    30,
)  # pixels, the steps that count for a lattice: from beyond a pattern's edges to its largest cells


def gray(picture: np.ndarray) -> np.ndarray:
    """(3, h, w) in [0, 1] -> (h, w)."""
    return np.asarray(np.tensordot([0.299, 0.587, 0.114], picture, 1))


def orientation(picture: np.ndarray) -> float:
    """The direction of the lines in degrees, 0 .. 180, counterclockwise from the horizontal.

    A structure tensor with Gaussian derivatives, under a Hann window, summed in the spectrum: differences of
    neighboring pixels would bend fine lines towards the diagonals.
    """
    field, _ = windowed(picture)
    up, right = (2 * np.pi * f for f in (-np.fft.fftfreq(len(field))[:, None], np.fft.fftfreq(field.shape[1])))
    power = np.abs(np.fft.fft2(field)) ** 2 * np.exp(-(SMOOTH**2) * (up**2 + right**2))
    across = 0.5 * np.arctan2((2 * power * right * up).sum(), (power * (right**2 - up**2)).sum())
    return float(np.rad2deg(across) + 90) % 180


def windowed(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gray picture less its mean, under a Hann window, and the window: (h, w) each."""
    g = gray(picture)
    window = np.hanning(g.shape[0])[:, None] * np.hanning(g.shape[1])
    return (g - (g * window).sum() / window.sum()) * window, window


def apart(a: float, b: float, period: float = 180.0) -> float:
    """The distance of two angles."""
    d = abs(a - b) % period
    return min(d, period - d)


def mean_hue(picture: np.ndarray) -> float:
    """The mean hue in degrees, every pixel weighted by its chroma (the opponent plane of HSV's hexagon)."""
    r, g, b = picture.reshape(3, -1).mean(1)
    return float(np.rad2deg(np.arctan2(np.sqrt(3) * (g - b), 2 * r - g - b))) % 360


def autocorrelation(picture: np.ndarray) -> np.ndarray:
    """Of the gray picture under a Hann window: (h, w), its center at (h // 2, w // 2) and 1 there."""
    field, window = windowed(picture)
    h, w = field.shape
    shared, weight = (np.fft.ifft2(np.abs(np.fft.fft2(f, s=(2 * h, 2 * w))) ** 2).real for f in (field, window))
    found = shared / np.maximum(weight, 1e-3 * weight.max())
    found = np.fft.fftshift(found / found[0, 0])
    return np.asarray(found[h // 2 : h // 2 + h, w // 2 : w // 2 + w])


def lattice(picture: np.ndarray) -> tuple[float, float]:
    """(direction in degrees 0 .. 90, strength 0 .. 1) of the right-angled order of a picture.

    The part of the autocorrelation that repeats after a quarter turn (its fourth angular harmonic), over steps of
    NEAREST to FARTHEST pixels: where equal things lie. A grid of lines repeats along its lines. Of a checkerboard the
    neighbors along the sides of a square differ and those along its diagonals are equal. Pictures with cells of many
    sizes have no one period, but a direction.
    """
    found = autocorrelation(picture)
    up, right = np.indices(found.shape).astype(float) - np.array([size // 2 for size in found.shape])[:, None, None]
    far, turn = np.hypot(up, right), np.arctan2(-up, right)
    weight = ((far >= NEAREST) & (far <= FARTHEST)) / np.maximum(far, 1)  # every radius alike
    fourth = (weight * found * np.exp(4j * turn)).sum()
    strength = np.abs(fourth) / np.sqrt((weight * found**2).sum() * weight.sum())
    return float(np.rad2deg(np.angle(fourth)) / 4 % 90), float(strength)


def measured(name: str, picture: np.ndarray) -> dict[str, float]:
    """What can be measured of the picture of a class, and how far it is from the truth."""
    if name.startswith("stripes_"):
        truth, angle = ANGLES[CLASSES.index(name)], orientation(picture)
        return {"truth": truth, "orientation": angle, "off": apart(angle, truth)}
    if name in NAMED and NAMED[name].spread < 180:
        truth, hue = NAMED[name].hue, mean_hue(picture)
        return {"truth": truth, "hue": hue, "off": apart(hue, truth, 360)}
    if name in ("checkerboard", "grid"):
        truth = 45.0 if name == "checkerboard" else 0.0
        direction, strength = lattice(picture)
        return {"truth": truth, "direction": direction, "strength": strength, "off": apart(direction, truth, 90)}
    return {}


def control(size: int) -> dict[str, float]:
    """How far off the data's own pictures are, measured in the same way: of each class, nine of ten are nearer."""
    data = Textures(CONTROLS * len(CLASSES), size=size, seed=CONTROL_SEED)
    off: dict[str, list[float]] = {}
    for i in range(len(data)):
        name = CLASSES[data.label(i)]
        if found := measured(name, data.array(i).transpose(2, 0, 1) / 255):
            off.setdefault(name, []).append(found["off"])
    return {name: float(np.quantile(values, 0.9)) for name, values in off.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="the network's weights, in place of those in the package")
    parser.add_argument("--second", type=Path, required=True, help="weights from another seed")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--out", type=Path, default=Path("build/minivgg/truth"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model, second = ph.load(weights=args.weights), ph.load(weights=args.second)
    sheet = ph.render(model, [f"logit:{name}" for name in CLASSES], size=args.size, steps=args.steps)
    sheet.save(args.out / "classes.png")
    usual, results, right = control(args.size), {}, 0
    for name, picture in zip(CLASSES, sheet, strict=True):
        pixels = picture.pixels.numpy()
        with torch.no_grad():
            seen = {
                who: CLASSES[int(net.activations(picture.pixels[None], ["output"])["output"].argmax())]
                for who, net in (("itself", model), ("second", second))
            }
        right += seen["second"] == name
        results[name] = {**seen, **measured(name, pixels), **({"usual": usual[name]} if name in usual else {})}
        Image.fromarray((pixels.transpose(1, 2, 0) * 255).round().astype(np.uint8)).save(args.out / f"{name}.png")
        print(name, json.dumps(results[name]), flush=True)
    print(f"the second network names {right} of {len(CLASSES)} ({100 * right / len(CLASSES):.0f} %)")
    record = {"size": args.size, "steps": args.steps, "classes": results}
    (args.out / "truth.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
