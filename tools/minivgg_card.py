"""Write the card of `minivgg`, docs/minivgg.md, from what training and measuring left behind.

    python tools/minivgg_card.py --training build/minivgg/training.json --truth build/minivgg/truth/truth.json \\
        --style build/minivgg/style

No number on the page is typed by hand. The curves and the confusion table go to docs/pictures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from train_minivgg import PUSH

from phosphene.models.minivgg import BLOCKS, SPEC
from phosphene.reports.chart import Line, heat, lines
from phosphene.textures import CLASSES

DOCS = Path(__file__).parents[1] / "docs"
CONFUSED = 6  # pairs that are named
LAYERS = tuple(f"relu{block}_1" for block in range(1, 6))
CREDITS = {
    "astronaut": "Eileen Collins, NASA, public domain",
    "chelsea": "a cat, Stefan van der Walt, CC0",
    "coffee": "a cup, Rachel Michetti, CC0",
    "hubble_deep_field": "NASA, public domain",
    "rocket": "a launch, SpaceX, public domain",
    "brick": "CC0Textures, CC0",
    "grass": "CC0",
}

PAGE = """# minivgg

<!-- written by tools/minivgg_card.py -->

`minivgg` is the network inside the package: a small VGG, trained by us on [generated pictures](textures.md), whose
{classes} classes are patterns, figures, letters and colors. It is what serves where no network is named, and since its
classes are known by construction, it shows whether a method finds what is there: a picture of `logit:stripes_045` must
have stripes at 45 degrees.

```sh
phosphene render logit:spiral logit:face
phosphene layers
```

```python
import phosphene as ph

model = ph.load()
print(model.name, len(model.labels), model.spec.size)  # minivgg {classes} {size}
```

It knows nothing of photographs. To see what a network learned from the world, take one that was trained on it:
`phosphene render squeezenet1_1 features.12:0..15`.

## The network

| block | channels | layers |
|---|---|---|
{blocks}

3x3 convolutions, ReLU, 2x2 max pooling between the blocks, a mean over positions, one linear layer: {parameters:,}
parameters, {megabytes:.1f} MB as float16. The layers have VGG-19's names, so `conv4_2` or `relu5_1` of a recipe for
VGG-19 mean the same place here. Pictures come as RGB in [0, 1], mean {mean}, deviation {std}; any size from 16 pixels
will do, {side} is its own. License: MIT, as the package.

## How it was trained

`tools/train_minivgg.py`, seed {seed}, {pictures:,} labelled pictures of 64, 96 and 128 pixels, each seen once, in
{minutes:.0f} minutes on one thread of a shared server CPU (torch {torch}, bfloat16). Two things are asked at once:

- the class of a picture (cross-entropy);
- that a linear map of each of {layers} gives the features of a real VGG-19 there (its 16x compressed form by Wang et
  al. 2020, "Collaborative Distillation", MIT). So the features serve style transfer, too. The pictures for this are the
  labelled ones, crowded scenes of the generator, and crops of {photos} free photographs, those of scikit-image
  ({credits}). No painting and no picture of a benchmark was trained on.

There are two parts. In the first, {first:,} pictures, the sizes take turns. In the second, {finish:,} pictures of
{side} pixels are each pushed by up to {push:g} (L2, values 0 .. 1) to where their class is harder to see. Most pictures
of both lie behind a thin veil of noise. The weights are the average over the last steps, with the batch normalization
folded in. {repeated}

![Accuracy and what of the teacher is not explained, along the training](pictures/minivgg-training.svg)

*Of what is not explained, medians of five reports.*

```sh
python tools/train_minivgg.py --teacher vgg19_cd16x.safetensors --photos astronaut.jpg chelsea.jpg ...
```

## How good it is

| pictures of {side} pixels that it never saw | right |
|---|---|
| {tested} of another seed | {held_out:.1%} |
| {tested} of another kind: stronger noise and light, printed letters, colors it was not shown | {shifted:.1%} |

Most often confused: {confused}.

![How often each class is called each other](pictures/minivgg-confusion.svg)

### Known truth

![A sheet of the 64 classes' pictures](pictures/minivgg-classes.jpg)

The picture of each class (`logit:CLASS`, {truth_size} pixels, {truth_steps} steps), measured without the network by
`tools/minivgg_truth.py`: lines by a structure tensor, colors by their mean, order by the part of the autocorrelation
that repeats after a quarter turn. The last column measures the generator's own pictures of the class in the same way.
A second network, trained from another seed on fewer pictures, names {transfer} of the {classes} pictures right.

| class | truth | measured | off by | nine of ten of the data's are off by less than |
|---|---|---|---|---|
{truths}

### Style

Photographs were given the Gram matrices of paintings at {layers} (`tools/minivgg_style.py`: 60 steps of L-BFGS, 224
pixels, no content term), and other networks measured which share of the style distance was gone, as the mean over
{paintings} paintings. The compressed VGG-19 was the teacher, SqueezeNet took no part.

| painted with | measured by | {layer_heads} | mean |
|---|---|{rule}---|
{styles}

The layers are {layers} of the VGG and `features.1`, `.4`, `.7`, `.9`, `.12` of SqueezeNet.

## What it is not

Not a model of the world: classes such as `face` or `fur` are drawings. Not robust beyond what the table says. Its deep
layers see about 100 pixels, so larger pictures repeat what they show.
"""


REPEATED = "The training was run twice in full, and gave the same file to the bit."
SHORT = "A short training that is run twice gives the same file (`tests/tools`)."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", type=Path, required=True)
    parser.add_argument("--again", type=Path, help="training.json of the same training, run a second time")
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--style", type=Path, required=True, help="the folder of minivgg_style.py's results")
    args = parser.parse_args()
    training = json.loads(args.training.read_text())
    same = args.again is not None and json.loads(args.again.read_text())["sha256"] == training["sha256"]
    truth = json.loads(args.truth.read_text())
    (DOCS / "pictures" / "minivgg-training.svg").write_text(curves(training["history"]) + "\n")
    (DOCS / "pictures" / "minivgg-confusion.svg").write_text(confusions(training["held_out"]) + "\n")
    with Image.open(args.truth.with_name("classes.png")) as sheet:
        sheet.convert("RGB").save(DOCS / "pictures" / "minivgg-classes.jpg", quality=85)
    (DOCS / "minivgg.md").write_text(page(training, truth, args.style, REPEATED if same else SHORT))


def page(training: dict[str, Any], truth: dict[str, Any], style: Path, repeated: str) -> str:
    held_out, shifted = (np.array(training[name]) for name in ("held_out", "shifted"))
    photos = [Path(name).stem for name in training["photos"]]
    results = truth["classes"]
    paintings, styles = style_rows(style)
    return PAGE.format(
        classes=len(CLASSES),
        size=SPEC.size,
        side=SPEC.size[0],
        mean=SPEC.mean[0],
        std=SPEC.std[0],
        blocks="\n".join(block_row(k, width, count) for k, (width, count) in enumerate(BLOCKS, 1)),
        parameters=training["parameters"],
        megabytes=2 * training["parameters"] / 1e6,
        seed=training["seed"],
        pictures=training["pictures"],
        first=training["pictures"] - training["finish"],
        finish=training["finish"],
        push=PUSH,
        repeated=repeated,
        minutes=training["history"][-1]["seconds"] / 60,
        torch=training["torch"].split("+")[0],
        layers=f"`{LAYERS[0]}` .. `{LAYERS[-1]}`",
        photos=len(photos),
        credits="; ".join(CREDITS[name] for name in photos),
        tested=int(held_out.sum()),
        held_out=np.trace(held_out) / held_out.sum(),
        shifted=np.trace(shifted) / shifted.sum(),
        confused=", ".join(f"{a} for {b} ({share:.0%})" for a, b, share in worst(held_out)),
        truth_size=truth["size"],
        truth_steps=truth["steps"],
        transfer=sum(entry["second"] == name for name, entry in results.items()),
        truths="\n".join(truth_rows(results)),
        paintings=paintings,
        layer_heads=" | ".join(str(k) for k in range(1, 6)),
        rule="---|" * 5,
        styles="\n".join(styles),
    )


def block_row(block: int, width: int, count: int) -> str:
    names = ", ".join(f"`conv{block}_{k}`" for k in range(1, count + 1))
    return f"| {block} | {width} | {names} |"


def worst(table: np.ndarray) -> list[tuple[str, str, float]]:
    """The commonest mistakes: the class, what it was taken for, and how often."""
    wrong = table / table.sum(1, keepdims=True)
    np.fill_diagonal(wrong, 0)
    places = np.argsort(wrong.ravel(), kind="stable")[::-1][:CONFUSED]
    found = [divmod(int(place), len(table)) for place in places]
    return [(CLASSES[j], CLASSES[i], float(wrong[i, j])) for i, j in found if wrong[i, j] > 0]


def truth_rows(results: dict[str, Any]) -> list[str]:
    rows = []
    for name, entry in results.items():
        if "orientation" in entry:
            truth, found = f"lines at {entry['truth']:g}°", f"{entry['orientation']:.1f}°"
        elif "hue" in entry:
            truth, found = f"hue {entry['truth']:g}°", f"{entry['hue']:.0f}°"
        elif "strength" in entry:
            truth = f"equal things along {entry['truth']:g}°"
            found = f"along {entry['direction']:.1f}° (strength {entry['strength']:.2f})"
        else:
            continue
        rows.append(f"| {name} | {truth} | {found} | {entry['off']:.1f}° | {entry['usual']:.1f}° |")
    return rows


def style_rows(folder: Path) -> tuple[int, list[str]]:
    """How many paintings there were, and a row for each painter and judge."""
    rows, count = [], 0
    for painter in ("minivgg", "vgg19_cd16x", "squeezenet1_1", "random"):
        file = folder / f"{painter}.json"
        if not file.is_file():
            continue
        results = json.loads(file.read_text())
        count = len(results)
        for judge in ("squeezenet1_1", "vgg19_cd16x"):
            if judge == painter:
                continue
            each = np.array([result[judge] for result in results])
            shares = " | ".join(f"{share:.0%}" for share in each.mean(0))
            title = "minivgg with random weights" if painter == "random" else painter
            rows.append(f"| {title} | {judge} | {shares} | {each.mean():.0%} |")
    return count, rows


def curves(history: list[dict[str, Any]]) -> str:
    seen = [entry["pictures"] for entry in history]
    named = Line("named right", seen, [entry["accuracy"] for entry in history])
    missed = [
        Line(f"{name} unexplained", seen, calmed([entry["layers"][k] for entry in history]))
        for k, name in enumerate(LAYERS)
    ]
    return lines(
        [named, *missed],
        x_label="labelled pictures seen",
        y_label="share",
        title="Training of minivgg",
    )


def calmed(values: list[float]) -> list[float]:
    """Medians of five neighbors: each value is that of one batch, and a rare batch is far off."""
    return [float(np.median(values[max(0, k - 2) : k + 3])) for k in range(len(values))]


def confusions(table: list[list[int]]) -> str:
    counts = np.array(table, float)
    shares = (counts / counts.sum(1, keepdims=True)).tolist()
    return heat(shares, rows=CLASSES, columns=CLASSES, title="Rows: what it is. Columns: what minivgg says")


if __name__ == "__main__":
    main()
