"""Do `minivgg`'s class pictures show what the classes are? Measured without the network.

    python tools/minivgg_truth.py --second build/minivgg-2/minivgg.safetensors --out build/minivgg/truth

Renders `logit:CLASS` for every class, measures the dominant orientation of the stripes (structure tensor), the mean
hue of the colors and the lattice of the checkerboard and the grid (autocorrelation), and asks a second network, trained
from another seed, what it sees in each picture.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import phosphene as ph
from phosphene.textures import CLASSES
from phosphene.textures.colors import NAMED
from phosphene.textures.ruled import ANGLES

STEPS = 128
SIZE = 128  # pixels
LEAST_PERIOD = 6  # pixels: nearer peaks of an autocorrelation are the pattern's own edges
NEAR = 4  # places around a peak, each way, in which it must be the highest
RISE = 0.1  # of the correlation, from the lowest point on the way to a peak
NEARLY = 0.6  # of the highest peak


def gray(picture: np.ndarray) -> np.ndarray:
    """(3, h, w) in [0, 1] -> (h, w)."""
    return np.asarray(np.tensordot([0.299, 0.587, 0.114], picture, 1))


def orientation(picture: np.ndarray) -> float:
    """The direction of the lines in degrees, 0 .. 180, counterclockwise from the horizontal (structure tensor)."""
    down, right = np.gradient(gray(picture))
    up = -down
    across = 0.5 * np.arctan2(2 * (right * up).mean(), (right**2).mean() - (up**2).mean())
    return float(np.rad2deg(across) + 90) % 180


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
    g = gray(picture)
    h, w = g.shape
    window = np.hanning(h)[:, None] * np.hanning(w)[None]
    field = (g - (g * window).sum() / window.sum()) * window
    power = np.abs(np.fft.fft2(field, s=(2 * h, 2 * w))) ** 2
    weight = np.fft.ifft2(np.abs(np.fft.fft2(window, s=(2 * h, 2 * w))) ** 2).real
    found = np.fft.ifft2(power).real / np.maximum(weight, 1e-3 * weight.max())
    found = np.fft.fftshift(found / found[0, 0])
    return np.asarray(found[h // 2 : h // 2 + h, w // 2 : w // 2 + w])


def lattice(picture: np.ndarray) -> tuple[float, float, float]:
    """(period in pixels, direction in degrees 0 .. 90, strength -1 .. 1) of a square lattice.

    Two equally long steps at right angles after which the picture looks the same; of the steps that are nearly as good
    as the best, the shortest. For a checkerboard that is a step along the diagonal of a square. Where there is none,
    zeros and a strength of -1.
    """
    found = autocorrelation(picture)
    h, w = found.shape
    periods, directions = np.arange(LEAST_PERIOD, min(h, w) / 2.5, 0.5), np.arange(0, 90, 1.5)
    turn = np.deg2rad(directions)
    x, y = periods[:, None] * np.cos(turn), periods[:, None] * np.sin(turn)
    score = np.minimum(
        *(found[np.rint(h / 2 - v).astype(int), np.rint(w / 2 + u).astype(int)] for u, v in ((x, y), (-y, x)))
    )
    padded = np.concatenate([score[:, -NEAR:], score, score[:, :NEAR]], 1)  # directions repeat after 90 degrees
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(padded, ((NEAR, NEAR), (0, 0)), "edge"), (2 * NEAR + 1,) * 2
    )
    risen = score - np.minimum.accumulate(score, 0) > RISE  # nearer ones are the slope of the center
    peaks = (score >= around.max((2, 3))) & risen
    if not (peaks & (score > 0)).any():
        return 0.0, 0.0, -1.0
    peaks &= score >= NEARLY * score[peaks].max()
    i, j = min(zip(*np.nonzero(peaks), strict=True), key=lambda place: float(periods[place[0]]))
    return float(periods[i]), float(directions[j]), float(score[i, j])


def measured(name: str, picture: np.ndarray) -> dict[str, float]:
    """What can be measured of the picture of a class, and how far it is from the truth."""
    if name.startswith("stripes_"):
        truth, angle = ANGLES[CLASSES.index(name)], orientation(picture)
        return {"truth": truth, "orientation": angle, "off": apart(angle, truth)}
    if name in NAMED and NAMED[name].spread < 180:
        truth, hue = NAMED[name].hue, mean_hue(picture)
        return {"truth": truth, "hue": hue, "off": apart(hue, truth, 360)}
    if name in ("checkerboard", "grid"):
        truth = 45.0 if name == "checkerboard" else 0.0  # the nearest equal squares of a checkerboard lie diagonally
        period, direction, strength = lattice(picture)
        off = apart(direction, truth, 90)
        return {"truth": truth, "period": period, "direction": direction, "strength": strength, "off": off}
    return {}


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
    results, right = {}, 0
    for name, picture in zip(CLASSES, sheet, strict=True):
        pixels = picture.pixels.numpy()
        with torch.no_grad():
            seen = {
                who: CLASSES[int(net.activations(picture.pixels[None], ["output"])["output"].argmax())]
                for who, net in (("itself", model), ("second", second))
            }
        right += seen["second"] == name
        results[name] = {**seen, **measured(name, pixels)}
        Image.fromarray((pixels.transpose(1, 2, 0) * 255).round().astype(np.uint8)).save(args.out / f"{name}.png")
        print(name, json.dumps(results[name]), flush=True)
    print(f"the second network names {right} of {len(CLASSES)} ({100 * right / len(CLASSES):.0f} %)")
    record = {"size": args.size, "steps": args.steps, "classes": results}
    (args.out / "truth.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
