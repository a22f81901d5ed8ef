"""The generator's pictures are what their labels say, the same wherever and in whatever order they are made."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from phosphene.errors import UsageError
from phosphene.textures import CLASSES, Textures
from phosphene.textures.canvas import Bank, Canvas, plane
from phosphene.textures.colors import NAMED
from phosphene.textures.figures import DRAWINGS, SHAPES
from phosphene.textures.grown import GROWN
from phosphene.textures.ruled import ANGLE_JITTER, ANGLES, RULED

LUMA = np.array([0.299, 0.587, 0.114])


def of_class(name: str, count: int, *, size: int = 64, seed: int = 0, shifted: bool = False) -> list[np.ndarray]:
    """Some pictures of a class, (size, size, 3) in [0, 1]."""
    data, first = Textures(size=size, seed=seed, shifted=shifted), CLASSES.index(name)
    return [data.array(first + turn * len(CLASSES)) / 255 for turn in range(count)]


def bare(name: str, seed: int, size: int = 128) -> np.ndarray:
    """A pattern's mask with nothing over it."""
    x, y = plane(size)
    return RULED[name](Canvas(x, y, 2 / size, np.random.default_rng(seed), Bank(0)))


def test_there_are_enough_classes_with_names_of_their_own() -> None:
    assert len(CLASSES) >= 48
    assert len(set(CLASSES)) == len(CLASSES)
    assert {"stripes_045", "checkerboard", "spiral", "star", "face", "letter_a", "red", "red_green"} <= set(CLASSES)


@given(index=st.integers(0, 10**9), seed=st.integers(0, 2**31), shifted=st.booleans())
def test_a_picture_depends_on_nothing_but_its_seed_and_place(index: int, seed: int, shifted: bool) -> None:
    used = Textures(2**40, size=32, seed=seed, shifted=shifted)
    used.array((index * 7 + 3) % 1000)
    fresh = Textures(2**40, size=32, seed=seed, shifted=shifted)
    assert np.array_equal(used.array(index), fresh.array(index))


def test_another_process_makes_the_same_pictures() -> None:
    code = (
        "from hashlib import sha256; from phosphene.textures import Textures; t = Textures(size=32, seed=4)\n"
        "print(sha256(b''.join(t.array(i).tobytes() for i in range(63, -1, -1))).hexdigest())"
    )
    theirs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    data = Textures(size=32, seed=4)
    assert theirs == sha256(b"".join(data.array(i).tobytes() for i in range(63, -1, -1))).hexdigest()


def test_another_seed_and_another_place_are_other_pictures() -> None:
    pictures = [Textures(size=32, seed=seed).array(i).tobytes() for seed in range(4) for i in range(0, 640, 64)]
    assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_draws_at_every_size(name: str) -> None:
    for size in (16, 33, 96):
        for shifted in (False, True):
            data = Textures(size=size, seed=1, shifted=shifted)
            picture = data.array(CLASSES.index(name))
            assert picture.shape == (size, size, 3)
            assert picture.dtype == np.uint8
            assert picture.std() > 0.5


def test_a_picture_has_the_same_layout_at_every_size() -> None:
    free = set(CLASSES) - {"brushstrokes"}  # whose strokes find their color by pixel
    small, large = Textures(size=32, seed=2), Textures(size=128, seed=2)
    alike = []
    for index in range(len(CLASSES) * 2):
        if CLASSES[small.label(index)] in free:
            shrunk = large.load(index).resize((32, 32), Image.Resampling.BOX)
            alike.append(np.corrcoef(small.array(index).ravel(), np.asarray(shrunk).ravel())[0, 1])
    assert np.median(alike) > 0.95
    assert np.mean(np.array(alike) > 0.8) > 0.85


@pytest.mark.parametrize(("angle", "name"), list(zip(ANGLES, CLASSES[:8], strict=True)))
def test_stripes_run_along_their_angle(angle: float, name: str) -> None:
    """By the structure tensor of bare stripes; up is positive."""
    for seed in range(12):
        down, right = np.gradient(bare(name, seed))
        across = 0.5 * np.arctan2(2 * (right * -down).mean(), (right**2).mean() - (down**2).mean())
        off = abs((np.rad2deg(across) - angle) % 180 - 90)  # lines run at right angles to where it changes
        assert off < ANGLE_JITTER + 4  # differences of neighbors lean by up to 4 degrees to the axes


@pytest.mark.parametrize("name", [name for name, region in NAMED.items() if region.spread < 180])
def test_colors_have_their_hue(name: str) -> None:
    hues = []
    for picture in of_class(name, 16):
        r, g, b = np.median(picture.reshape(-1, 3), 0)
        hues.append(np.rad2deg(np.arctan2(np.sqrt(3) * (g - b), 2 * r - g - b)))
    off = np.abs((np.array(hues) - NAMED[name].hue + 180) % 360 - 180)
    assert np.median(off) < NAMED[name].spread
    assert np.mean(off < 30) > 0.85


def test_a_checkerboard_comes_back_after_two_squares_and_is_reversed_after_one() -> None:
    mask = bare("checkerboard", 0)
    field = mask - mask.mean()
    correlation = np.fft.ifft2(np.abs(np.fft.fft2(field)) ** 2).real
    assert correlation.min() < -0.6 * correlation[0, 0]
    assert np.sort(correlation.ravel())[-9] > 0.6 * correlation[0, 0]


def test_the_shifted_set_is_noisier_and_printed() -> None:
    def grain(pictures: list[np.ndarray]) -> float:
        return float(np.mean([np.abs(np.diff(p, n=2, axis=0)).mean() for p in pictures]))

    assert grain(of_class("red", 24, shifted=True)) > 1.3 * grain(of_class("red", 24))
    letters = [of_class("letter_a", 4, shifted=shifted) for shifted in (False, True)]
    assert not np.array_equal(*letters)


def test_labels_take_turns_and_keys_say_what_they_are() -> None:
    data = Textures(200, size=16, seed=3)
    assert [data.label(i) for i in range(64)] == list(range(64))
    assert data.key(65) == "textures-3/000065-stripes_022"
    assert Textures(200, seed=3, shifted=True).key(0) == "textures-3-shifted/000000-stripes_000"
    assert len({data.key(i) for i in range(200)}) == len(data) == 200


def test_it_reads_as_a_data_set() -> None:
    data = Textures(70, size=16)
    picture, label = data[64]
    assert (picture.size, picture.mode, label) == ((16, 16), "RGB", 0)
    assert data[-1][1] == 69 - 64
    with pytest.raises(IndexError):
        data[70]
    assert len(list(data)) == 70  # as an iterable, it ends


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": 8}, "16 pixels, got 8"),
        ({"count": 0}, "at least 1 picture, got 0"),
        ({"seed": -1}, "negative, got -1"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, int], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Textures(**options)


def test_scenes_show_photographs_where_there_are_some() -> None:
    asked = []

    def photo(rng: np.random.Generator, size: int) -> np.ndarray:
        asked.append(size)
        return np.full((size, size, 3), 0.5, np.float32)

    data = Textures(size=32, photo=photo)
    pictures = [data.scene(i) for i in range(20)]
    assert 5 <= len(asked) <= 18
    assert all(picture.shape == (32, 32, 3) for picture in pictures)
    assert np.array_equal(data.scene(3), pictures[3])


def test_every_pattern_is_a_class() -> None:
    assert {*RULED, *GROWN, *SHAPES, *DRAWINGS, *NAMED} <= set(CLASSES)
