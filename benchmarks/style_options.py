"""The command line of the benchmarks of style transfer: what to measure, on which pictures, and where."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from common import CLOCKS
from style_sides import Pair, in_step, pictures

from phosphene.engine.batching import find_device
from phosphene.models import Model, load
from phosphene.recipe import RunConfig, StyleConfig

IMAGES = Path(__file__).resolve().parent.parent.parent / "shared" / "images"  # with folders content and style
REAL = ("vgg19_cd16x", "squeezenet1_1")  # networks trained on photographs, which judge
OPTIMIZED = (*REAL, "minivgg")

Row: TypeAlias = dict[str, Any]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Options:
    """The command line. count: pairs, or photographs for each style. steps: of ours at each scale, None = the preset's.
    evaluations: of the plain side. warm_up: steps before the clock. weights: of the network that is optimized, None =
    its own. clock: what seconds are."""

    command: str
    size: int
    rounds: int
    count: int
    steps: int | None
    evaluations: int
    warm_up: int
    models: tuple[str, ...]
    judges: tuple[str, ...]
    contents: tuple[Path, ...]
    styles: tuple[Path, ...]
    device: str
    precision: Precision
    weights: str | None
    clock: Callable[[], float]

    @property
    def run(self) -> RunConfig:
        return RunConfig(device=self.device, precision=self.precision)

    @property
    def model(self) -> Model:
        """The network that is optimized, where there is one."""
        return load(self.models[0], weights=self.weights)

    @property
    def pairs(self) -> list[Pair]:
        return in_step(self.contents, self.styles, self.count)

    def config(self, **parts: Any) -> StyleConfig:
        """The preset `quality` with some parts changed."""
        return StyleConfig(**{"size": self.size, "steps": self.steps, **parts})

    def waited(self, work: Callable[[], object]) -> Callable[[], object]:
        """`work` that ends when the device has done it."""
        if find_device(self.device).type != "cuda":
            return work
        return lambda: (work(), torch.cuda.synchronize())


def arguments(commands: Iterable[str]) -> tuple[Options, argparse.Namespace]:
    """The command line: what to measure, and what to do with it."""
    parser = argparse.ArgumentParser(description="Measure style transfer.")
    parser.add_argument("command", choices=list(commands))
    parser.add_argument("--size", type=int, help="longer side in pixels (512; heldout 256)")
    parser.add_argument("--model", nargs="+", help="networks that are optimized (heldout takes several)")
    parser.add_argument("--judge", nargs="+", help="networks that judge (heldout takes several)")
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder with folders content and style of pictures")
    parser.add_argument("--content", type=Path, nargs="+", default=[], help="content pictures in place of the folder's")
    parser.add_argument("--style", type=Path, nargs="+", default=[], help="style pictures in place of the folder's")
    parser.add_argument("--count", type=int, default=3, help="pairs, or heldout photographs (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds of a comparison (step 15, race 1)")
    parser.add_argument("--steps", type=int, help="steps of ours at each scale (default: the preset's)")
    parser.add_argument("--evaluations", type=int, default=300, help="of the plain side (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=22, help="steps before the clock (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda ... (default: %(default)s)")
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"], help="of our network")
    parser.add_argument("--weights", help="of the network that is optimized: a file, or random (not for heldout)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default: %(default)s)")
    parser.add_argument(
        "--clock", default="wall", choices=list(CLOCKS), help="cpu: of this process, for a busy machine"
    )
    parser.add_argument("--out", type=Path, help="a JSON file for every row, written as they come")
    parser.add_argument("--document", action="store_true", help="put the table into docs/benchmarks.md")
    given = parser.parse_args()
    heldout = given.command == "heldout"
    others = [name for name in REAL if name not in (given.model or OPTIMIZED[:1])]
    options = Options(
        command=given.command,
        size=given.size or (256 if heldout else 512),
        rounds=given.rounds or (15 if given.command == "step" else 1),
        count=given.count,
        steps=given.steps,
        evaluations=given.evaluations,
        warm_up=given.warm_up,
        models=tuple(given.model or (OPTIMIZED if heldout else OPTIMIZED[:1])),
        judges=tuple(given.judge or (REAL if heldout else others)),
        contents=tuple(pictures(given.content, given.images / "content")),
        styles=tuple(pictures(given.style, given.images / "style")),
        device=given.device,
        precision=given.precision,
        weights=given.weights,
        clock=CLOCKS[given.clock],
    )
    if given.clock == "cpu" and given.threads > 1:
        parser.error("--clock cpu needs --threads 1: the time of two threads is added up")
    if min(given.threads, options.size, options.rounds, options.count, options.evaluations) < 1:
        parser.error("--threads, --size, --rounds, --count and --evaluations are whole numbers from 1")
    return options, given
