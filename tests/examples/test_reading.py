"""Peaks of a map are its largest values and their first places, and no map is read after it was overwritten."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from phosphene.errors import MediaError
from phosphene.examples.config import ScanConfig
from phosphene.examples.feed import batches
from phosphene.examples.reading import lasting, peaks
from phosphene.examples.scan import scan
from phosphene.models import InputSpec, Layer, Model, from_module, to_input
from phosphene.textures import Textures


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_peaks_are_the_largest_values_and_where_they_stand_first(layout: torch.memory_format) -> None:
    value = torch.randint(-3, 3, (3, 40, 7, 5), generator=torch.Generator().manual_seed(0)).float()  # many ties
    found = peaks(value.contiguous(memory_format=layout), Layer("a", "", 40, (7, 5), "channels_first"))
    rows = value.flatten(2).numpy()
    assert np.array_equal(found.largest.numpy(), rows.max(2))
    assert np.array_equal(found.places(), np.stack(np.divmod(rows.argmax(2), 5), -1))


def test_peaks_of_tokens_are_places_of_their_grid_and_tokens_in_front_have_none() -> None:
    value = torch.zeros(1, 3, 2 + 12).transpose(1, 2).contiguous().transpose(1, 2)  # as a transformer gives them
    for unit, token in enumerate((1, 2, 2 + 11)):
        value[0, unit, token] = 1
    layer = Layer("a", "", 3, (3, 4), "tokens", tokens=(2, 3, 4))
    assert peaks(value, layer).places()[0].tolist() == [[-1, -1], [0, 0], [2, 3]]
    assert peaks(torch.ones(2, 3), layer).places().tolist() == [[[-1, -1]] * 3] * 2


def test_a_response_that_is_no_number_is_a_peak() -> None:
    value = torch.zeros(1, 2, 4, 4).contiguous(memory_format=torch.channels_last)
    value[0, 1, 2, 2] = torch.nan
    assert peaks(value, Layer("a", "", 2, (4, 4), "channels_first")).largest.isnan().tolist() == [[False, True]]


class Overwriting(nn.Module):
    """Its first map is overwritten by a rectifier, its second through a view, its third is left alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.last = nn.ReLU(inplace=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x).relu_())
        x[:, 1:].mul_(0)
        return self.last(self.third(x))


@pytest.fixture
def overwriting() -> Model:
    torch.manual_seed(0)
    return from_module(Overwriting(), InputSpec(size=(16, 16), mean=(0.0,), std=(1.0,)), name="overwriting")


def test_maps_that_the_network_overwrites_are_known(overwriting: Model) -> None:
    blank = torch.zeros(1, 3, 16, 16)
    assert lasting(overwriting, ["first", "second", "third", "output"], blank) == {"third", "output"}


def test_scores_are_those_before_a_map_is_overwritten(overwriting: Model) -> None:
    data, layers = Textures(12, size=16), ["first", "second", "third"]
    index = scan(overwriting, data, layers=layers, config=ScanConfig(batch=4, sample=12))
    drawn = index.tally.sample
    for number, scores in zip(drawn.numbers, drawn.scores, strict=True):
        acts = overwriting.activations(to_input(data.load(int(number)), overwriting.spec), layers)
        plain = torch.cat([acts[name].detach().amax((2, 3))[0] for name in layers]).numpy()
        np.testing.assert_allclose(scores, plain, rtol=1e-5, atol=1e-6)
    assert (drawn.scores < 0).any()


class Broken(Textures):
    """Textures of which every third cannot be read."""

    def load(self, index: int) -> Image.Image:
        if index % 3 == 0:
            raise MediaError(f"cannot read picture '{self.key(index)}': it is torn")
        return super().load(index)


def fed(count: int, size: int) -> Iterator[tuple[list[int], list[int], int]]:
    spec = InputSpec(size=(16, 16))
    for batch in batches(Broken(count, size=16), range(count), lambda p: to_input(p, spec), size=size, workers=2):
        assert batch.pixels is None or len(batch.pixels) == size
        yield [one.number for one in batch.pictures], [one.number for one in batch.skipped], batch.end


def test_batches_are_full_in_order_and_say_what_they_left_out() -> None:
    assert list(fed(10, 3)) == [([1, 2, 4], [0, 3], 5), ([5, 7, 8], [6], 9), ([], [9], 10)]
    assert list(fed(9, 3)) == [([1, 2, 4], [0, 3], 5), ([5, 7, 8], [6], 9)]


def test_a_feed_that_is_left_leaves_no_thread() -> None:
    before = threading.active_count()
    feed = fed(40, 4)
    next(feed)
    feed.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
