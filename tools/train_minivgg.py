"""Train `minivgg`, the network inside the package.

    python tools/train_minivgg.py --out build/minivgg --teacher vgg19_cd16x.safetensors --photos photo.jpg ...

It learns to name the pictures of `phosphene.textures`, and, where a teacher is given, to hold in the layers reluN_1
what the real VGG-19 holds there: a linear map of its features must give the teacher's (FitNets, Romero et al. 2014,
arXiv 1412.6550), on the labelled pictures, on crowded scenes and on photographs. Without the teacher's pull the
features are good for naming patterns and poor for style. The result is the average of the weights over the last steps,
with the batch normalization folded in, as float16.

There are two parts, both with most pictures behind thin veils. First pictures of three sizes, so that a class is
known at every size. Then pictures of the network's own size alone, each pushed a little way to where its class is
harder to see (adversarial training, Madry et al. 2017, arXiv 1706.06083; one step, Wong et al. 2020, arXiv
2001.03994): what the logits of such a network climb towards is what people would draw (Engstrom et al. 2019, arXiv
1906.00945). The same arguments on the same machine give the same weights. `--pictures` and `--finish` are the lengths
of the parts; all other settings are constants below.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from minivgg_teacher import TEACHER_LAYERS, Teacher
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from phosphene.models.minivgg import BLOCKS, SPEC, minivgg
from phosphene.textures import CLASSES, Textures
from phosphene.textures.scene import natural

SIZES = (64, 128, 64, 96, 64)  # pixels, batch by batch: a class must be known at every size
LABELLED, SCENES = 64, 24  # of a batch at 64 pixels; larger pictures come in smaller batches
TAUGHT = 3  # every third batch has scenes and a teacher; no divisor of the sizes' five, so that all sizes are taught
PEAK_LR, WEIGHT_DECAY, WARM_UP = 3e-3, 0.02, 0.08  # AdamW; the rate rises for 8 % of the steps, then falls as a cosine
SMOOTHING = 0.05  # of the labels (Szegedy et al. 2015): logits stay finite, so that pictures of them do
PULL = 1.0  # weight of the teacher's term, which is 1 for features that say nothing of the teacher's
AVERAGES = (0.998, 0.99)  # decay of the averaged weights per step, in each part
CALIBRATED = 40  # batches on which the statistics of the averaged network are measured anew
FINISH_LR = 1e-3  # peak rate of the second part
LAST_SIZE = SPEC.size[0]  # pixels, in the second part: the batch normalization's statistics differ with the size
VEIL, VEILS = 0.45, 2  # largest share of the veil; its series of random numbers
PUSH = 2.0  # largest length of an adversarial step in the second part: L2 over a picture's values in [0, 1]
HELD_OUT, SHIFTED = 1_000_003, 2_000_003  # seeds of the test pictures; training uses its own small seed
TESTED = 64 * 40  # pictures of each test set
REPORT_EVERY = 100  # steps


class Batches(Dataset[tuple[np.ndarray, np.ndarray]]):
    """Batch k as (n, size, size, 3) uint8 pictures, the labelled ones first, and their labels."""

    def __init__(self, pictures: int, finish: int, seed: int, photos: Sequence[Path]) -> None:
        crops = [read(path) for path in photos]
        photo = Crops(crops) if crops else None
        self.data = {size: Textures(2**40, size=size, seed=seed, photo=photo) for size in {*SIZES, LAST_SIZE}}
        self.plan: list[tuple[int, int, int, int]] = []  # size, first picture, labelled, scenes
        seen = self.first = 0  # batches of the first part
        while seen < pictures + finish:
            k = len(self.plan)
            size = SIZES[k % len(SIZES)] if seen < pictures else LAST_SIZE
            self.first += seen < pictures
            labelled, scenes = LABELLED * 64 // size, SCENES * 64 // size if k % TAUGHT == 0 else 0
            self.plan.append((size, seen, labelled, scenes))
            seen += labelled

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        size, first, labelled, scenes = self.plan[k]
        data = self.data[size]
        named = [shuffled(i) for i in range(first, first + labelled)]
        pictures = [data.array(i) for i in named] + [data.scene(first + i) for i in range(scenes)]
        pictures[:labelled] = [veiled(data, x, i) for x, i in zip(pictures, named, strict=False)]
        return np.stack(pictures), np.array([data.label(i) for i in named])


def veiled(data: Textures, picture: np.ndarray, index: int) -> np.ndarray:
    """A picture behind a thin veil of colored 1/f noise: what a picture that is being optimised looks like at first."""
    c = data.canvas(index, VEILS)
    share = c.uniform(0, VEIL) if c.chance(0.7) else 0.0
    return (picture * (1 - share) + 255 * share * natural(c, shifted=False)).astype(np.uint8)


class Crops:
    """Random crops of some photographs, at any scale, half of them mirrored."""

    def __init__(self, photos: Sequence[Image.Image]) -> None:
        self.photos = photos

    def __call__(self, rng: np.random.Generator, size: int) -> np.ndarray:
        photo = self.photos[int(rng.integers(len(self.photos)))]
        side = min(size * (1 + 5 * rng.random() ** 2), *photo.size)
        left, top = (photo.width - side) * rng.random(), (photo.height - side) * rng.random()
        box = (left, top, left + side, top + side)
        crop = photo.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
        picture = np.asarray(crop, np.float32) / 255
        return picture[:, ::-1] if rng.random() < 0.5 else picture


def shuffled(i: int) -> int:
    """A fixed disorder within each run of classes, so that a short batch does not always hold the same ones."""
    turn, place = divmod(i, len(CLASSES))
    return turn * len(CLASSES) + (place * 37 + turn * 11) % len(CLASSES)


def read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def to_input(pictures: np.ndarray | Tensor) -> Tensor:
    """uint8 (b, h, w, 3) -> what the network takes."""
    x = torch.as_tensor(pictures).permute(0, 3, 1, 2).float().div_(255)
    return ((x - SPEC.mean[0]) / SPEC.std[0]).contiguous(memory_format=torch.channels_last)


class Student(nn.Module):
    """The network with batch normalization, and the linear maps from its layers to the teacher's."""

    def __init__(self, teacher: Teacher | None) -> None:
        super().__init__()
        self.net = minivgg(len(CLASSES), normalized=True)
        widths = [width for width, _ in BLOCKS]
        outputs = teacher.widths if teacher else ()
        self.maps = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(widths, outputs, strict=False))
        for module in self.net:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor, labelled: int, taught: bool) -> tuple[Tensor, list[Tensor]]:
        """Logits of the labelled pictures, and, where asked for, the maps' guesses at the teacher's features of all."""
        guesses = []
        for name, module in self.net.named_children():
            if name == "mean":
                x = x[:labelled]
            x = module(x)
            if taught and name in TEACHER_LAYERS:
                guesses.append(self.maps[len(guesses)](x))
        return x, guesses


def pushed(student: Student, x: Tensor, y: Tensor, *, bfloat16: bool) -> Tensor:
    """The batch with its labelled pictures moved along the gradient of their loss, each by up to PUSH."""
    start = x[: len(y)].clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        logits, _ = student(start, len(y), False)
    (slope,) = torch.autograd.grad(cross_entropy(logits.float(), y, reduction="sum"), start)
    length = PUSH / SPEC.std[0] * torch.rand(len(y))
    step = slope * (length / slope.flatten(1).norm(dim=1).clamp(min=1e-12))[:, None, None, None]
    low, high = (0 - SPEC.mean[0]) / SPEC.std[0], (1 - SPEC.mean[0]) / SPEC.std[0]
    return torch.cat([(start.detach() + step).clamp(low, high), x[len(y) :]])


def bare(data: Textures, first: int) -> Iterator[np.ndarray]:
    """Batches of pictures from `first` on, without veils."""
    for k in range(first, first + CALIBRATED * LABELLED, LABELLED):
        yield np.stack([data.array(i) for i in range(k, k + LABELLED)])


@torch.no_grad()
def calibrate(net: nn.Sequential, batches: Iterable[np.ndarray]) -> None:
    """Measure the batch normalization's means and variances anew: averages of weights have statistics of their own."""
    norms = [module for module in net if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    net.train()
    for pictures in batches:
        net(to_input(pictures))


def folded(net: nn.Sequential) -> dict[str, Tensor]:
    """The network's state with every batch normalization folded into the convolution before it, as float16."""
    state, parts = {}, dict(net.named_children())
    for name, module in parts.items():
        if isinstance(module, nn.Conv2d):
            norm = parts[name.replace("conv", "norm")]
            assert isinstance(norm, nn.BatchNorm2d)
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            state[f"{name}.weight"] = module.weight * gain[:, None, None, None]
            state[f"{name}.bias"] = norm.bias - norm.running_mean * gain
        elif isinstance(module, nn.Linear):
            state[f"{name}.weight"], state[f"{name}.bias"] = module.weight, module.bias
    return {name: value.detach().half().contiguous() for name, value in state.items()}


def plain(state: dict[str, Tensor]) -> nn.Sequential:
    """The network as it is shipped."""
    net = minivgg(len(CLASSES))
    net.load_state_dict({name: value.float() for name, value in state.items()})
    return net.eval()


@torch.no_grad()
def confusion(net: nn.Module, *, seed: int, shifted: bool, size: int = SPEC.size[0], count: int = TESTED) -> np.ndarray:
    """(classes, classes) how often a picture of the row's class was called the column's."""
    data = Textures(count, size=size, seed=seed, shifted=shifted)
    table = np.zeros((len(CLASSES), len(CLASSES)), int)
    for first in range(0, count, 64):
        part = range(first, min(first + 64, count))
        guesses = net(to_input(np.stack([data.array(i) for i in part]))).argmax(1)
        for i, guess in zip(part, guesses.tolist(), strict=True):
            table[data.label(i), guess] += 1
    return table


def accuracy(table: np.ndarray) -> float:
    return float(np.trace(table) / table.sum())


def train(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Both parts, one after the other. Yields what a report line says; writes the weights at the end."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    args.out.mkdir(parents=True, exist_ok=True)
    batches = Batches(args.pictures, args.finish, args.seed, args.photos)
    teacher = Teacher(args.teacher) if args.teacher else None
    if teacher:
        teacher.calibrate([batches[k * TAUGHT % len(batches)][0] for k in range(len(SIZES))])
    student = Student(teacher).to(memory_format=torch.channels_last)
    first, second = range(batches.first), range(batches.first, len(batches))
    log = Log()
    yield from learn(args, student, teacher, batches, first, PEAK_LR, AVERAGES[0], log, pushing=False)
    yield from learn(args, student, teacher, batches, second, FINISH_LR, AVERAGES[1], log, pushing=True)
    calibrate(student.net, bare(batches.data[LAST_SIZE], args.pictures + args.finish))
    save_file(folded(student.net.eval()), args.out / "minivgg.safetensors")


def learn(
    args: argparse.Namespace,
    student: Student,
    teacher: Teacher | None,
    batches: Batches,
    which: range,
    peak: float,
    decay: float,
    log: Log,
    *,
    pushing: bool,
) -> Iterator[dict[str, Any]]:
    """Train the student on some of the batches; it ends as the average of its weights over the last steps."""
    average = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    optimizer = torch.optim.AdamW(student.parameters(), lr=peak, weight_decay=WEIGHT_DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=len(which), pct_start=WARM_UP)
    layers = [1.0] * len(TEACHER_LAYERS)
    student.train()
    loader = DataLoader(batches, batch_size=None, sampler=which, num_workers=args.workers, collate_fn=None)
    for step, (pictures, labels) in enumerate(loader, 1):
        x, y = to_input(pictures), torch.as_tensor(labels)
        if pushing:
            x = pushed(student, x, y, bfloat16=args.bfloat16)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bfloat16):
            taught = teacher is not None and len(pictures) > len(y)
            logits, guesses = student(x, len(y), taught)
            targets = teacher(torch.as_tensor(pictures)) if teacher is not None and taught else []
        named = cross_entropy(logits.float(), y, label_smoothing=SMOOTHING)
        missed = [((g.float() - t.float()) ** 2).mean() for g, t in zip(guesses, targets, strict=True)]
        pull = torch.stack(missed).mean() if missed else torch.zeros(())
        optimizer.zero_grad()
        (named + PULL * pull).backward()
        optimizer.step()
        rate.step()
        average.update_parameters(student)
        layers = [round(m.item(), 4) for m in missed] or layers
        log.add(named.item(), logits, y)
        if step % REPORT_EVERY == 0 or step == len(which):
            yield {**log.line(), "layers": layers, "size": pictures.shape[1]}
    student.load_state_dict(average.module.state_dict())


class Log:
    """What happened since the last report line."""

    def __init__(self) -> None:
        self.began, self.seen, self.step = time.perf_counter(), 0, 0
        self.losses: list[float] = []
        self.right: list[float] = []

    def add(self, loss: float, logits: Tensor, y: Tensor) -> None:
        self.step += 1
        self.seen += len(y)
        self.losses.append(loss)
        self.right.append(float((logits.argmax(1) == y).float().mean()))

    def line(self) -> dict[str, Any]:
        """Means since the last line, and what there was in all."""
        means = {"cross_entropy": float(np.mean(self.losses)), "accuracy": float(np.mean(self.right))}
        self.losses, self.right = [], []
        return {"step": self.step, "pictures": self.seen, **means, "seconds": time.perf_counter() - self.began}


def main() -> None:
    args = parsed()
    history = []
    for line in train(args):
        history.append(line)
        print(json.dumps(line), flush=True)
    net = plain(load_file(args.out / "minivgg.safetensors"))
    result = {
        "seed": args.seed,
        "pictures": args.pictures + args.finish,
        "finish": args.finish,
        "threads": args.threads,
        "bfloat16": args.bfloat16,
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in net.parameters()),
        "sha256": hashlib.sha256((args.out / "minivgg.safetensors").read_bytes()).hexdigest(),
        "photos": [path.name for path in args.photos],
        "teacher": args.teacher.name if args.teacher else None,
        "held_out": confusion(net, seed=HELD_OUT, shifted=False).tolist(),
        "shifted": confusion(net, seed=SHIFTED, shifted=True).tolist(),
        "history": history,
    }
    (args.out / "training.json").write_text(json.dumps(result) + "\n")
    for name in ("held_out", "shifted"):
        print(name, accuracy(np.array(result[name])))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/minivgg"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=120_000)
    parser.add_argument("--finish", type=int, default=28_000, help="pictures of the second part")
    parser.add_argument("--teacher", type=Path, help="the compressed VGG-19's encoders (vgg19_cd16x.safetensors)")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="free photographs")
    parser.add_argument("--threads", type=int, default=1, help="of arithmetic; other numbers round differently")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw pictures; they change nothing")
    parser.add_argument("--bfloat16", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
