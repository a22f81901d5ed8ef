"""Where a score stands: exactly at the ends, by the histogram between them."""

from __future__ import annotations

import numpy as np
import pytest

from phosphene.cards.percentile import share_below
from phosphene.examples.config import ScanConfig
from phosphene.examples.index import Index
from phosphene.examples.scan import scan
from phosphene.models import Model, load

LAYER = "conv3_1"


@pytest.fixture(scope="module")
def model() -> Model:
    return load()


@pytest.fixture(scope="module")
def index(model: Model) -> Index:
    """Forty pictures, of which the sample holds all."""
    return scan(model, "textures:40", layers=[LAYER], config=ScanConfig(top=5, sample=64))


@pytest.mark.parametrize("unit", [0, 7, 30])
def test_the_share_is_that_of_the_scores(index: Index, unit: int) -> None:
    scores = np.sort(index.tally.sample.scores[:40, unit])
    for rank in (0, 1, 4, 36, 38, 39):  # those that are kept, and above the last of them
        assert share_below(index, LAYER, unit, float(scores[rank])) == (scores < scores[rank]).mean()
    for rank in range(6, 34):
        true = (scores < scores[rank]).mean()
        assert share_below(index, LAYER, unit, float(scores[rank])) == pytest.approx(true, abs=0.25)


def test_it_rises_with_the_score_from_none_to_all(index: Index) -> None:
    best = index.top(LAYER, 7, k=1)[0].score
    shares = [share_below(index, LAYER, 7, score) for score in np.linspace(-1, 1.2 * best, 50)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
