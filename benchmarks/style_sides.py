"""The two sides of the style benchmarks: our transfer, and a style transfer as the PyTorch tutorial writes it.

Both minimize one number, the loss of the preset `quality` (`phosphene/style/method.py`) at full size:

    sum over layers of w_l |G - A|^2 / |A|^2  +  w_c mean (F - P)^2 / mean P^2,      G = F F^T / positions

The plain side is the tutorial's program (A. Jacq, "Neural Transfer Using PyTorch"): loss modules between the layers
of a Sequential, pixels clamped in the closure, `torch.optim.LBFGS` as it comes, one scale, from the content.

Departures of the plain side from the tutorial, none of which slows it: the loss, so that both sides have one number;
and no tolerances, because L-BFGS otherwise ends early on a loss of this scale and then repeats one evaluation.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from phosphene.engine.batching import find_device, has_bfloat16
from phosphene.models import Model
from phosphene.objectives import INPUT
from phosphene.recipe import RunConfig, StyleConfig
from phosphene.style.inputs import read
from phosphene.style.job import Job, Style, over_white
from phosphene.style.ladder import fitted, resized
from phosphene.style.method import Method, method
from phosphene.style.network import picture_files
from phosphene.style.transfer import Painted, StepDone, Transfer

AGREEMENT = 1e-5  # relative difference of the two sides' losses of one picture: float32 sums in another order
ITERATIONS = 20  # of a step of L-BFGS; torch's own default
SEED = 0  # of the noise in the picture that both losses are compared on


# --- what is painted ---


@dataclass(frozen=True)
class Pair:
    """A content and a style picture, by the names of their files."""

    content: str
    style: str
    job: Job

    def __str__(self) -> str:
        return f"{self.content}, {self.style}"


def pictures(given: Sequence[Path], folder: Path) -> list[Path]:
    """The files that were given, else those of a folder. Raises SystemExit where there is none."""
    if not given and not folder.is_dir():
        raise SystemExit(f"no folder '{folder}' of pictures; give --images, or --content and --style")
    found = list(given or picture_files(folder))
    if not found:
        raise SystemExit(f"there is no picture in '{folder}'")
    return found


def pair(content: Path, style: Path) -> Pair:
    """Two files as the job of a transfer."""
    shown, painted = (over_white(read(file, role).pixels) for file, role in ((content, "content"), (style, "style")))
    return Pair(content.stem, style.stem, Job(shown, (Style(painted),)))


def in_step(contents: Sequence[Path], styles: Sequence[Path], most: int) -> list[Pair]:
    """The k-th content with the k-th style, the shorter list over and over; at most `most` pairs."""
    count = min(most, max(len(contents), len(styles)))
    return [pair(*files) for files in islice(zip(cycle(contents), cycle(styles), strict=False), count)]


# --- the one loss that everything is judged by ---


class FullLoss:
    """The loss of the preset `quality` at full size, of pictures (3, h, w) in [0, 1]."""

    def __init__(self, model: Model, job: Job, size: int, run: RunConfig) -> None:
        exact = replace(run, precision="float32")
        transfer = Transfer(model, job, StyleConfig(size=size, smallest=0), exact)
        self.model, self.ledger = transfer.model, transfer.ledger(0)
        self.device = transfer.arithmetic.device

    def __call__(self, picture: Tensor) -> float:
        x = picture[None].to(self.device)
        with torch.no_grad():
            acts = self.model.activations(x, self.ledger.layers - {INPUT})
            self.ledger({INPUT: x, **acts}, torch.zeros(1, dtype=torch.int64, device=self.device))
        return float(self.ledger.best().sum())


# --- the network without the library around it ---


def trunk(model: Model) -> tuple[str, nn.Sequential]:
    """The modules of a network that follow one another, and what stands before their names in the layer table.

    Raises SystemExit for a network that is not written as such a row: the plain side could not be written for it.
    """
    if isinstance(model.net, nn.Sequential):
        return "", model.net
    row = getattr(model.net, "features", None)
    if not isinstance(row, nn.Sequential):
        raise SystemExit(f"{model.name} is not a row of modules; take vgg19_cd16x, squeezenet1_1, minivgg, vgg16 ...")
    return "features.", row


def truncated(model: Model, layers: Sequence[str]) -> nn.Sequential:
    """The network up to the deepest of some layers: the modules themselves, in a row of their own."""
    prefix, row = trunk(model)
    names = [f"{prefix}{name}" for name, _ in row.named_children()]
    cut = max(names.index(model.find_layer(layer).name) for layer in layers)
    return nn.Sequential(*list(row)[: cut + 1])


Work: TypeAlias = Callable[[], object]


def stages_of(transfer: Transfer) -> tuple[Work, dict[str, Work]]:
    """The bare network's forward and gradient to its input; and ever more of an evaluation around it, by name.

    transfer: of one scale, which nothing has to be cut into tiles for.
    """
    model, ledger, signal = transfer.model, transfer.ledger(0), transfer.starts.signal(transfer.sizes[0], None)
    layers, device = ledger.layers - {INPUT}, transfer.arithmetic.device
    net = truncated(model, sorted(layers))
    picture = signal().detach().requires_grad_()
    shown = model.normalize(picture.detach()).to(transfer.arithmetic.dtype)
    x = shown.contiguous(memory_format=model.memory_format).requires_grad_()
    deepest = max(layers, key=lambda name: list(model.layers).index(name))
    parameters, rows = list(signal.parameters()), torch.zeros(1, dtype=torch.int64, device=device)

    def scores(seen: Tensor) -> Tensor:
        total = ledger({INPUT: seen, **model.activations(seen, layers)}, rows).sum()
        ledger.entries.clear()
        return total

    return lambda: torch.autograd.grad(net(x).sum(), x), {
        "layers read": lambda: torch.autograd.grad(model.activations(picture, layers)[deepest].sum(), picture),
        "and the loss": lambda: torch.autograd.grad(scores(picture), picture),
        "and the Fourier picture": lambda: torch.autograd.grad(scores(signal()), parameters),
    }


# --- the PyTorch tutorial's way ---


def gram(features: Tensor) -> Tensor:
    """(1, c, h, w) -> (c, c): the mean product of two channels."""
    _, c, h, w = features.shape
    flat = features.reshape(c, h * w)
    return flat @ flat.t() / (h * w)


class StyleLoss(nn.Module):
    """Lets features through and remembers how far their Gram matrix is from the style's."""

    def __init__(self, target: Tensor, weight: float) -> None:
        super().__init__()
        self.target, self.weight, self.loss = gram(target).detach(), weight, target.new_zeros(())

    def forward(self, x: Tensor) -> Tensor:
        self.loss = self.weight * (gram(x) - self.target).square().sum() / self.target.square().sum()
        return x


class ContentLoss(nn.Module):
    """Lets features through and remembers how far they are from the content's."""

    def __init__(self, target: Tensor, weight: float) -> None:
        super().__init__()
        self.target, self.weight, self.loss = target.detach(), weight, target.new_zeros(())

    def forward(self, x: Tensor) -> Tensor:
        self.loss = self.weight * (x - self.target).square().mean() / self.target.square().mean()
        return x


class Normalization(nn.Module):
    """Pictures in [0, 1] -> what the network was trained on."""

    def __init__(self, normalize: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.normalize = normalize

    def forward(self, x: Tensor) -> Tensor:
        return self.normalize(x)


class Plain:
    """The tutorial's program for one pair at one size. Call `run`; `history` has the loss of each evaluation."""

    def __init__(self, model: Model, job: Job, size: int, device: torch.device) -> None:
        made, _ = method(StyleConfig(size=size), model)
        assert job.content is not None
        style = job.styles[0].picture
        place = fitted(*job.canvas, size)
        self.content = resized(job.content[None].to(device), place)
        seen = resized(style[None].to(device), fitted(int(style.shape[1]), int(style.shape[2]), max(place)))
        self.history: list[float] = []
        self.losses: list[StyleLoss | ContentLoss] = []
        self.net = self._built(model, made, seen).to(device)

    def _built(self, model: Model, made: Method, style: Tensor) -> nn.Sequential:
        """The network with a loss module behind each layer that has one."""
        prefix, row = trunk(model)
        modules = copy.deepcopy(row).eval().requires_grad_(False).to(style.device)
        weights = {
            model.find_layer(layer).name: weight * made.style_weight
            for layer, weight in zip(made.style_layers, made.layer_weights, strict=True)
        }
        share = made.content_weight / len(made.content_layers)
        kept = {model.find_layer(layer).name for layer in made.content_layers}
        net = nn.Sequential(Normalization(model.normalize))
        with torch.no_grad():
            at_content, at_style = net(self.content), net(style)
            for child, module in modules.named_children():
                name = prefix + child
                net.append(nn.ReLU() if isinstance(module, nn.ReLU) else module)  # in place it would change the targets
                at_content, at_style = net[-1](at_content), net[-1](at_style)
                here: list[StyleLoss | ContentLoss] = [ContentLoss(at_content, share)] if name in kept else []
                here += [StyleLoss(at_style, weights[name])] if name in weights else []
                net.extend(here)
                self.losses += here
                if len(self.losses) == len(made.style_layers) + len(made.content_layers):
                    break
        return net

    def loss(self, x: Tensor) -> Tensor:
        """The loss of pictures (1, 3, h, w) in [0, 1], with its graph."""
        self.net(x)
        return torch.stack([module.loss for module in self.losses]).sum()

    def run(self, evaluations: int) -> Tensor:
        """Optimize from the content for as many evaluations of the loss; gives (3, h, w)."""
        x = self.content.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([x], tolerance_grad=0, tolerance_change=0)
        self.history = []

        def closure() -> Tensor:
            with torch.no_grad():
                x.clamp_(0, 1)
            optimizer.zero_grad()
            loss = self.loss(x)
            loss.backward()  # type: ignore[no-untyped-call]
            self.history.append(loss.item())
            return loss

        while len(self.history) < evaluations:
            left = evaluations - len(self.history)
            optimizer.param_groups[0]["max_iter"] = min(ITERATIONS, left)  # an iteration is one evaluation
            optimizer.step(closure)  # type: ignore[no-untyped-call]
        return x.detach().clamp(0, 1)[0].cpu()


# --- the race ---


class Race:
    """Both sides on one pair. `plain` goes first, for its loss is what `ours` runs for; each gives its seconds.

    Ours is `config` with as many steps at full size as it takes, `evaluations` at most. agreement: the relative
    difference of both sides' losses of one picture. final, wanted: the plain side's loss at its end, and the lowest
    that it saw. Of our last run: loss, evaluations, steps (at full size), curve ((seconds, evaluations, loss) of each
    of those steps). met: whether each of our runs got there.
    Raises SystemExit where the losses differ.
    """

    def __init__(
        self,
        model: Model,
        job: Job,
        config: StyleConfig,
        run: RunConfig,
        *,
        evaluations: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.model, self.job, self.config, self.run, self.limit = model, job, config, run, evaluations
        self.clock = clock
        self.judge = FullLoss(model, job, config.size, run)
        self.agreement = self._checked()
        self.final = self.wanted = self.loss = float("inf")
        self.evaluations, self.steps, self.met = 0, 0, True
        self.curve: list[tuple[float, int, float]] = []

    def plain(self) -> float:
        """The tutorial's program."""
        start = self.clock()
        side = self._plain()
        picture = side.run(self.limit)
        spent = self.clock() - start
        self.final = self.judge(picture)
        self.wanted = min(*side.history, self.final)
        return spent

    def ours(self) -> float:
        """Our transfer up its ladder until its loss at full size is low enough, which is looked at off the clock."""
        checks = 0.0
        self.curve = []
        start = self.clock()
        transfer = Transfer(self.model, self.job, self.config, self.run)
        transfer.method = replace(transfer.method, steps=self.limit)
        for event in transfer:
            spent = self.clock() - start - checks
            if isinstance(event, StepDone) and event.number == len(transfer.sides):
                self.steps, self.evaluations = event.step.i, transfer.evaluations
                self.curve.append((spent, self.evaluations, float(event.losses.sum())))
                if self.curve[-1][2] <= self.wanted:
                    looked = self.clock()
                    self.loss = self.judge(transfer.current())
                    checks += self.clock() - looked
                    if self.loss <= self.wanted:
                        return spent
            elif isinstance(event, Painted):
                self.loss = self.judge(event.picture)
        self.met = self.met and self.loss <= self.wanted
        return spent

    def _plain(self) -> Plain:
        return Plain(self.model, self.job, self.config.size, self.judge.device)

    def _checked(self) -> float:
        side = self._plain()
        noise = torch.rand(side.content.shape[1:], generator=torch.Generator().manual_seed(SEED))
        picture = (side.content[0].cpu() + noise) / 2
        with torch.no_grad():
            theirs = float(side.loss(picture[None].to(self.judge.device)))
        mine = self.judge(picture)
        apart = abs(mine - theirs) / abs(mine)
        if not apart <= AGREEMENT:
            raise SystemExit(f"the two losses are not the same number: {mine} and {theirs} of one picture")
        return apart


# --- the preset with a part off ---


def without_parts(
    config: StyleConfig, run: RunConfig, whole: Painted, sides: Sequence[int]
) -> dict[str, tuple[StyleConfig, RunConfig]]:
    """The preset with each part off, one at a time, by name. whole: what all of it made; sides: those of its ladder."""
    areas = [(side / sides[-1]) ** 2 for side in sides]  # of full size
    work = sum(areas[scale - 1] for scale, _, _ in whole.history)  # in steps at full size
    work *= whole.evaluations / len(whole.history)  # in evaluations there
    found = {
        "one scale, as much work": replace(config, smallest=0, steps=round(work)),
        "60 steps at each scale": replace(config, steps=60),
        "pixels, not Fourier": replace(config, signal="pixels"),
        "Adam, as much work": replace(config, optimizer="adam", steps=round(work / sum(areas))),
        "without the content's details": replace(config, details=False),
        "no warm start of L-BFGS": replace(config, warm=False),
        "from noise": replace(config, start="noise"),
        "moments, not Gram": replace(config, statistic="moments"),
        "sliced Wasserstein, not Gram": replace(config, statistic="sliced"),
        "history of 10, not 40": replace(config, history=10),
        "average pooling": replace(config, pooling="average"),
        "the network's own edges": replace(config, edges="own"),
    }
    named = {name: (changed, run) for name, changed in found.items()}
    if has_bfloat16(find_device(run.device)):
        named["float32 in the network"] = (config, replace(run, precision="float32"))
    return named
