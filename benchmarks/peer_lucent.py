"""The peer's side of the speed benchmark: torch-lucent's own `render_vis`, at its defaults, timed step by step.

Runs inside the environment that `setup_peer.py` makes; phosphene is not imported here. What is timed is untouched:
`param.image(canvas)`, lucent's default transforms (pad 12, jitter 8, scale 0.9-1.1, rotate 10 degrees, jitter 4) and
Adam at 0.05, on channels of SqueezeNet 1.1 with weights that require gradients, as `model.eval()` leaves them.
Its default transforms show the network more pixels than the canvas has: 248 to 273 across for a canvas of 224.

Shim: none is needed with torch 2.15, torchvision 0.29 and kornia 0.4.1. The clock takes the place of the progress bar
in `lucent.optvis.render`, so a lap is one turn of its loop and no work is added.
Departures: each picture gets a fresh copy of the network, made outside the clock. `render_vis` never removes its
hooks, so on a network used again they pile up and lucent would be timed slower than it is on a first picture.

    python peer_lucent.py --weights squeezenet1_1.safetensors --units 3 50 100 --steps 512
    python peer_lucent.py --weights squeezenet1_1.safetensors --serve        # {"unit": 3, "steps": 32} -> one JSON line
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, TextIO

# lucent puts its tensors on a GPU whenever torch sees one; this benchmark is of the CPU. Must precede `import torch`.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import torch
import torchvision
from common import machine, peak_rss_mib
from numpy.typing import NDArray
from safetensors.torch import load_file

LAYER = "features_12"  # lucent joins module names with underscores: this is `features.12`, the last fire module
MODULE = 12  # the same module's place in `model.features`
UNITS = (3, 50, 100)  # three channels that lucent's pictures do excite
STEPS = 512  # steps; lucent's own default (`thresholds=(512,)`)
CANVAS = 224  # pixels; what torchvision trained SqueezeNet on
CHECKPOINTS = (32, 64, 128, 256, 512)  # steps after which the picture is measured
WARM_UP_STEPS = 4  # steps left out of the median: allocator, thread pool and kernel choice settle in them
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's normalization of [0, 1] RGB (ImageNet)
LEVELS = 255  # the largest value of an 8-bit pixel


class StepClock:
    """Stands where lucent's progress bar stands, and notes the time at every turn of its loop (seconds)."""

    def __init__(self) -> None:
        self.laps: list[float] = []

    def __call__(self, steps: range, disable: bool = False) -> Iterator[int]:
        for step in steps:
            start = perf_counter()
            yield step
            self.laps.append(perf_counter() - start)


def load_lucent() -> tuple[Any, Any]:
    """lucent's `render` and `param` modules, without the warning torch 2.15 gives about the `jit.script` in kornia."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.script.*", category=FutureWarning)
        return importlib.import_module("lucent.optvis.render"), importlib.import_module("lucent.optvis.param")


def load_network(weights: Path) -> torch.nn.Module:
    """torchvision's SqueezeNet 1.1 in eval mode, float32, with the weights of a safetensors file."""
    network: torch.nn.Module = torchvision.models.squeezenet1_1()
    network.load_state_dict(load_file(weights))
    network.eval()
    return network


def activation(network: torch.nn.Module, picture: NDArray[np.float32], unit: int) -> float:
    """Mean over space of one channel of `features.12` on a picture (h, w, 3) in [0, 1], rounded to 8 bits first."""
    pixels = torch.from_numpy(np.rint(picture * LEVELS) / LEVELS).float().permute(2, 0, 1)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    with torch.inference_mode():
        acts = network.get_submodule("features")[: MODULE + 1](((pixels - mean) / std)[None])  # type: ignore[index]
    return float(acts[0, unit].mean())


def render(
    network: torch.nn.Module,
    unit: int,
    *,
    steps: int,
    canvas: int = CANVAS,
    checkpoints: Sequence[int] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """One `render_vis` of `steps` steps, timed.

    Returns a JSON-ready dict: `seconds` (the whole call), `seconds_per_step` (median after the warm-up) and
    `activations` {step: value} at the checkpoints reached and at the last step. Raises ValueError for a unit, a
    number of steps or a canvas that cannot be meant, KeyboardInterrupt where lucent returned half a picture instead.
    """
    check(unit, steps, canvas)
    lucent, param = load_lucent()
    lucent.tqdm = clock = StepClock()
    marks = sorted({*(step for step in checkpoints if step < steps), steps})
    torch.manual_seed(seed)  # lucent starts from torch's generator and
    np.random.seed(seed)  # draws its transforms from NumPy's global one
    fresh = copy.deepcopy(network)
    start = perf_counter()
    pictures = lucent.render_vis(
        fresh,
        f"{LAYER}:{unit}",
        lambda: param.image(canvas),
        thresholds=tuple(marks),
        progress=False,
        show_image=False,
    )
    total = perf_counter() - start
    if len(clock.laps) < steps:
        raise KeyboardInterrupt
    return {
        "unit": unit,
        "steps": steps,
        "canvas": canvas,
        "seed": seed,
        "seconds": total,
        "seconds_per_step": median(clock.laps[WARM_UP_STEPS:] or clock.laps),
        "activations": {
            str(step): activation(network, picture[0], unit) for step, picture in zip(marks, pictures, strict=True)
        },
    }


def check(unit: object, steps: object, canvas: object) -> None:
    """Refuse what lucent would answer with something else: it stretches a canvas below 224 px to 224, silently."""
    for name, value, low, high in (("unit", unit, 0, 511), ("steps", steps, 1, 10**6), ("canvas", canvas, 224, 4096)):
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{name} {value!r} is not a whole number from {low} to {high}")


def report(network: torch.nn.Module, options: argparse.Namespace) -> dict[str, Any]:
    """All units in turn, and what they were made on. `loaded_rss_mib` is the memory before the first picture."""
    facts, loaded = surroundings(), peak_rss_mib()
    runs = [
        render(network, unit, steps=options.steps, canvas=options.canvas, checkpoints=CHECKPOINTS, seed=options.seed)
        for unit in options.units
    ]
    return {
        **facts,
        "layer": LAYER.replace("_", "."),
        "seconds_per_step": median(run["seconds_per_step"] for run in runs),
        "seconds": sum(run["seconds"] for run in runs),
        "loaded_rss_mib": loaded,
        "peak_rss_mib": peak_rss_mib(),
        "pictures": runs,
    }


def surroundings() -> dict[str, Any]:
    """The versions of the peer and the machine it runs on."""
    names = ("torch-lucent", "kornia", "torchvision", "numpy")
    return {"peer": {name: version(name) for name in names}, "machine": machine()}


def serve(network: torch.nn.Module, requests: TextIO, answers: TextIO, *, canvas: int = CANVAS, seed: int = 0) -> None:
    """Answer each JSON line with one JSON line until the input ends, so that a parent can take turns with us.

    {"unit": 3, "steps": 32} renders ("canvas" and "seed" may be given too); {} asks for versions and machine;
    what cannot be done answers {"error": "..."} and the next line is read.
    """
    for line in requests:
        try:
            reply = answer(network, {"canvas": canvas, "seed": seed}, json.loads(line))
        except (ValueError, TypeError) as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def answer(network: torch.nn.Module, defaults: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """The reply to one request; TypeError or ValueError if it is not one that `serve` describes."""
    if not request:
        return {**surroundings(), "peak_rss_mib": peak_rss_mib()}
    run = render(network, **{**defaults, **request})
    return {**run, "activation": run["activations"][str(run["steps"])], "peak_rss_mib": peak_rss_mib()}


def arguments() -> argparse.Namespace:
    """The command line; ends the process with status 2 where it asks for what cannot be meant."""
    parser = argparse.ArgumentParser(description="Time torch-lucent's render_vis on SqueezeNet 1.1.")
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file of torchvision's squeezenet1_1")
    parser.add_argument("--units", type=int, nargs="+", default=list(UNITS), help="channels of features.12, 0 to 511")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each picture (default: %(default)s)")
    parser.add_argument("--canvas", type=int, default=CANVAS, help="pixels across (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", action="store_true", help="answer JSON requests line by line instead")
    options = parser.parse_args()
    try:
        for unit in options.units:
            check(unit, options.steps, options.canvas)
    except ValueError as error:
        parser.error(str(error))
    return options


def main() -> None:
    """Print one JSON document, or serve. Only JSON goes to stdout: what lucent prints is sent to stderr."""
    options, stdout = arguments(), sys.stdout
    torch.set_num_threads(options.threads)
    with redirect_stdout(sys.stderr):
        network = load_network(options.weights)
        load_lucent()
        if options.serve:
            serve(network, sys.stdin, stdout, canvas=options.canvas, seed=options.seed)
        else:
            stdout.write(json.dumps(report(network, options), indent=2) + "\n")


if __name__ == "__main__":
    main()
