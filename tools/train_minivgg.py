"""Train `minivgg`, the network inside the package.

    python tools/train_minivgg.py --out build/minivgg --teacher vgg19_cd16x.safetensors --photos photo.jpg ...

It learns to name the pictures of `phosphene.textures`, and, where a teacher is given, to hold in the layers reluN_1
what the real VGG-19 holds there: a linear map of its features must give the teacher's (FitNets, Romero et al. 2014,
arXiv 1412.6550), on the labelled pictures, on crowded scenes and on photographs. Without the teacher's pull the
features are good for naming patterns and poor for style. The result is the average of the weights over the last steps,
with the batch normalization folded in, as float16.

The same arguments on the same machine give the same weights. `--pictures` is the length of the training; all other
settings are constants below.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from minivgg_teacher import TEACHER_LAYERS, Teacher
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from phosphene.models.minivgg import BLOCKS, SPEC, minivgg
from phosphene.textures import CLASSES, Textures

STAGES = ((64, 0.80), (96, 0.12), (128, 0.08))  # (pixels, share of the pictures): small ones first, they cost least
LABELLED, SCENES = 64, 24  # of each batch at 64 pixels; larger pictures come in smaller batches
PEAK_LR, WEIGHT_DECAY, WARM_UP = 3e-3, 0.02, 0.08  # AdamW; the rate rises for 8 % of the steps, then falls as a cosine
SMOOTHING = 0.05  # of the labels (Szegedy et al. 2015): logits stay finite, so that pictures of them do
PULL = 1.0  # weight of the teacher's term, which is 1 for features that say nothing of the teacher's
AVERAGE = 0.998  # decay of the averaged weights, per step
HELD_OUT, SHIFTED = 1_000_003, 2_000_003  # seeds of the test pictures; training uses its own small seed
TESTED = 64 * 40  # pictures of each test set
REPORT_EVERY = 100  # steps


class Batches(Dataset[tuple[np.ndarray, np.ndarray]]):
    """Batch k as (n, size, size, 3) uint8 pictures, the labelled ones first, and their labels."""

    def __init__(self, pictures: int, seed: int, photos: Sequence[Path]) -> None:
        crops = [read(path) for path in photos]
        self.data = {
            size: Textures(2**40, size=size, seed=seed, photo=Crops(crops) if crops else None) for size, _ in STAGES
        }
        self.plan: list[tuple[int, int, int, int]] = []  # size, first picture, labelled, scenes
        first = 0
        for size, share in STAGES:
            labelled, scenes = LABELLED * 64 // size, SCENES * 64 // size
            for _ in range(max(1, round(share * pictures / labelled))):
                self.plan.append((size, first, labelled, scenes))
                first += labelled

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        size, first, labelled, scenes = self.plan[k]
        data = self.data[size]
        named = [shuffled(i) for i in range(first, first + labelled)]
        pictures = [data.array(i) for i in named] + [data.scene(first + i) for i in range(scenes)]
        return np.stack(pictures), np.array([data.label(i) for i in named])


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

    def forward(self, x: Tensor, labelled: int) -> tuple[Tensor, list[Tensor]]:
        """Logits of the labelled pictures, and the maps' guesses at the teacher's features of all."""
        guesses = []
        for name, module in self.net.named_children():
            if name == "mean":
                x = x[:labelled]
            x = module(x)
            if len(self.maps) and name in TEACHER_LAYERS:
                guesses.append(self.maps[len(guesses)](x))
        return x, guesses


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


def train(args: argparse.Namespace) -> Iterator[dict[str, float]]:
    """Yields what a report line says; writes the weights at the end."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    batches = Batches(args.pictures, args.seed, args.photos)
    teacher = Teacher(args.teacher) if args.teacher else None
    if teacher:
        teacher.calibrate([batches[k][0] for k in range(4)])
    student = Student(teacher).to(memory_format=torch.channels_last)
    average = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE), use_buffers=True)
    optimizer = torch.optim.AdamW(student.parameters(), lr=PEAK_LR, weight_decay=WEIGHT_DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LR, total_steps=len(batches), pct_start=WARM_UP)
    loader = DataLoader(batches, batch_size=None, num_workers=args.workers, collate_fn=None)
    began, seen, sums = time.perf_counter(), 0, np.zeros(4)
    for step, (pictures, labels) in enumerate(loader, 1):
        x = to_input(pictures)
        y = torch.as_tensor(labels)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bfloat16):
            logits, guesses = student(x, len(y))
            targets = teacher(torch.as_tensor(pictures)) if teacher else []
        named = cross_entropy(logits.float(), y, label_smoothing=SMOOTHING)
        missed = [((g.float() - t.float()) ** 2).mean() for g, t in zip(guesses, targets, strict=True)]
        pull = torch.stack(missed).mean() if missed else torch.zeros(())
        optimizer.zero_grad()
        (named + PULL * pull).backward()
        optimizer.step()
        rate.step()
        average.update_parameters(student)
        seen += len(y)
        sums += (named.item(), pull.item(), float((logits.argmax(1) == y).float().mean()), 1)
        if step % REPORT_EVERY == 0 or step == len(batches):
            cross, missing, right, _ = sums / sums[3]
            sums[:] = 0
            yield {
                "step": step,
                "pictures": seen,
                "size": pictures.shape[1],
                "cross_entropy": cross,
                "unexplained": missing,
                "accuracy": right,
                "seconds": time.perf_counter() - began,
                "layers": [round(m.item(), 4) for m in missed],
            }
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(folded(average.module.net.eval()), args.out / "minivgg.safetensors")


def main() -> None:
    args = parsed()
    history = []
    for line in train(args):
        history.append(line)
        print(json.dumps(line), flush=True)
    from safetensors.torch import load_file

    net = plain(load_file(args.out / "minivgg.safetensors"))
    result = {
        "seed": args.seed,
        "pictures": args.pictures,
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
    parser.add_argument("--pictures", type=int, default=240_000)
    parser.add_argument("--teacher", type=Path, help="the compressed VGG-19's encoders (vgg19_cd16x.safetensors)")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="free photographs")
    parser.add_argument("--threads", type=int, default=1, help="of arithmetic; other numbers round differently")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw pictures; they change nothing")
    parser.add_argument("--bfloat16", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
