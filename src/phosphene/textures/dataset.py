"""`Textures`: an endless, seeded data set of labelled pictures whose truth is known.

Picture i of seed s is a pure function of (s, i, size, shifted): it can be made alone, in any order, on any machine with
the same numpy, and held-out pictures are simply those of another seed. Classes take turns, so any run of them is
balanced. It is what `minivgg` was trained on, and a data set to look for examples in.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from phosphene.errors import UsageError
from phosphene.textures import colors as palette
from phosphene.textures.canvas import Array, Bank, Canvas, edge, plane
from phosphene.textures.figures import DRAWINGS, SHAPES, printed
from phosphene.textures.grown import GROWN, mix
from phosphene.textures.ruled import RULED
from phosphene.textures.scene import SHIFTED, USUAL, Photo, ground, hide, lit, region, shaded, visible

PAIRS = ("red_green", "blue_yellow", "black_white")
CLASSES: tuple[str, ...] = (*RULED, *GROWN, *SHAPES, *DRAWINGS, *palette.NAMED, *PAIRS)
STRAIGHT = (*(name for name in RULED if name.startswith("stripes_")), "checkerboard", "grid")  # never bent
SMALLEST = 16  # pixels: below, no pattern can be told from another
SCENES = 1  # second series of random numbers: the bank's lie in a word of their own
COPIES = 0.3  # share of figures that stand there twice
EVEN = 0.4  # share of the unevenness of light that falls on plain colors: white in the dark is gray
FULL = 0.45  # share of textures that fill the picture


class Textures:
    """Labelled pictures of 64 classes: patterns, figures, letters and colors.

    count: how many there are. size: pixels of a side, at least 16. seed: another seed is another data set of the
    same kind. shifted: stronger noise and light, letters in a face and colors from a palette that the usual set does
    not have. photo: where grounds may also come from, a crop (size, size, 3) in [0, 1] for a generator and a size.
    Raises UsageError for sizes and counts that cannot be, IndexError past the end.
    """

    classes = CLASSES

    def __init__(
        self, count: int = 64_000, *, size: int = 64, seed: int = 0, shifted: bool = False, photo: Photo | None = None
    ) -> None:
        if size < SMALLEST:
            raise UsageError(f"textures need at least {SMALLEST} pixels, got {size}")
        if count < 1:
            raise UsageError(f"a data set needs at least 1 picture, got {count}")
        if seed < 0:
            raise UsageError(f"a seed must not be negative, got {seed}")
        self.count, self.size, self.seed, self.shifted, self.photo = count, size, seed, shifted, photo
        self.bank = Bank(seed)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        """A picture and its class, as torch's data sets give them; -1 is the last one."""
        place = range(self.count)[index]
        return self.load(place), self.label(place)

    def label(self, index: int) -> int:
        """The class of a picture."""
        return index % len(CLASSES)

    def key(self, index: int) -> str:
        """A name that says which picture it is, the same everywhere: "textures-0/000037-foliage"."""
        name = f"textures-{self.seed}{'-shifted' * self.shifted}"
        return f"{name}/{index:06d}-{CLASSES[self.label(index)]}"

    def load(self, index: int) -> Image.Image:
        """The picture as RGB."""
        return Image.fromarray(self.array(index))

    def array(self, index: int) -> np.ndarray:
        """The picture as (size, size, 3) uint8."""
        picture = self._draw(self.canvas(index), CLASSES[self.label(index)])
        return (picture * 255 + np.float32(0.5)).astype(np.uint8)

    def scene(self, index: int) -> np.ndarray:
        """A picture without a class, (size, size, 3) uint8: many textured things over each other, or a photograph."""
        c = self.canvas(index, SCENES)
        if self.photo is not None and c.chance(0.6):
            picture = lit(c, self.photo(c.rng, self.size), USUAL)
        else:
            picture = self._clutter(c)
        return (picture * 255 + np.float32(0.5)).astype(np.uint8)

    def canvas(self, index: int, series: int = 0) -> Canvas:
        """The empty canvas of a picture, with its own stream of random numbers; each series is another stream."""
        x, y = plane(self.size)
        stream = np.random.Philox(key=self.seed, counter=[0, 0, series, index])
        return Canvas(x, y, 2 / self.size, np.random.Generator(stream), self.bank)

    def _draw(self, c: Canvas, name: str) -> Array:
        how = SHIFTED if self.shifted else USUAL
        if name in RULED or name in GROWN:
            picture = self._texture(c, name)
        elif name in palette.NAMED:
            picture = self._color(c, name)
        elif name in PAIRS:
            picture = self._pair(c, name)
        else:
            picture = self._figure(c, name)
        if c.chance(how.hidden):
            hide(c, picture, shifted=self.shifted)
        return lit(c, picture, replace(how, light=how.light * EVEN) if name in palette.NAMED else how)

    def _texture(self, c: Canvas, name: str) -> Array:
        """A pattern all over, or in a region of a ground."""
        picture = self._pattern(c, name)
        if c.chance(FULL):
            return picture
        behind = ground(c, shifted=self.shifted, photo=self.photo)
        return behind + region(c)[..., None] * (picture - behind)

    def _pattern(self, c: Canvas, name: str) -> Array:
        chosen = palette.pair(c.rng, shifted=self.shifted)
        bent = c if name in STRAIGHT else c.bent(c.uniform(0, 0.04), 1.0)
        if name in GROWN:
            return GROWN[name](bent if name not in DRAWN_IN_PLACE else c, chosen)
        return mix(RULED[name](bent), chosen)

    def _figure(self, c: Canvas, name: str) -> Array:
        """A figure, sometimes two, on a ground."""
        picture = ground(c, shifted=self.shifted, photo=self.photo).copy()
        color = visible(c, picture, shifted=self.shifted)
        large = c.uniform(0.42, 0.88)
        room = max(0.0, 1.0 - large)
        spots = [(c.uniform(-room, room), c.uniform(-room, room), large)]
        if c.chance(COPIES):
            spots = [
                (c.uniform(-0.6, -0.4), c.uniform(-0.5, 0.5), 0.42),
                (c.uniform(0.4, 0.6), c.uniform(-0.5, 0.5), 0.42),
            ]
        for right, up, scale in spots:
            self._place(c.moved(right, up, scale), name, color, picture)
        return picture

    def _place(self, c: Canvas, name: str, color: Array, picture: Array) -> None:
        if name in DRAWINGS:
            drawing, lean = DRAWINGS[name]
            for mask, ink in drawing(c.turned(c.uniform(-lean, lean)), color):
                picture += mask[..., None] * (ink - picture)
            return
        shape, lean = SHAPES[name]
        c = c.turned(c.uniform(-lean, lean))
        if self.shifted and name.startswith("letter_"):
            mask = printed(name.removeprefix("letter_"), c)
        else:
            distance = shape(c)
            outlined = not name.startswith("letter_") and c.chance(0.25)
            mask = edge(np.abs(distance + 0.06) - 0.07 if outlined else distance, c.px)
        body = shaded(c, color) if c.chance(0.5) else color
        picture += mask[..., None] * (body - picture)

    def _color(self, c: Canvas, name: str) -> Array:
        """A surface of one color, all over: in a region of a ground, the contrast would become part of its meaning."""
        return shaded(c, palette.named(name, c.rng))

    def _pair(self, c: Canvas, name: str) -> Array:
        """Two colors that share the picture: halves, or large patches."""
        first, second = (shaded(c, palette.named(part, c.rng)) for part in name.split("_"))
        if c.chance(0.5):
            distance = c.turned(c.uniform(0, 360)).bent(c.uniform(0, 0.12), 0.9).x + np.float32(c.uniform(-0.3, 0.3))
        else:
            distance = c.noise(c.uniform(0.9, 1.4)) * np.float32(0.3)
        return first + edge(distance, c.px)[..., None] * (second - first)

    def _clutter(self, c: Canvas) -> Array:
        """Regions of all kinds of patterns over each other."""
        picture = self._pattern(c, str(c.rng.choice(PATTERNS)))
        for _ in range(int(c.rng.integers(2, 7))):
            scale = c.log_uniform(0.25, 0.8)
            spot = c.moved(c.uniform(-0.9, 0.9), c.uniform(-0.9, 0.9), scale)
            mask = region(spot)[..., None]
            body = (
                self._pattern(c, str(c.rng.choice(PATTERNS))) if c.chance(0.7) else palette.free(c.rng, shifted=False)
            )
            picture = picture + mask * (body - picture)
        return lit(c, picture, USUAL)


PATTERNS = (*RULED, *GROWN)
DRAWN_IN_PLACE = (
    "bubbles",
    "foliage",
    "brushstrokes",
)  # they find their pixels by place, so the plane must be straight
