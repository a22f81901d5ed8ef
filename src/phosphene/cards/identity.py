"""All that a card depends on, as JSON: two cards of the same identity are the same card, so one of them is enough."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.subject import Unit
from phosphene.engine import arithmetic
from phosphene.jsondata import to_json
from phosphene.recipe import RenderConfig, RunConfig
from phosphene.version import version


def identity(
    unit: Unit,
    *,
    asked: Sequence[tuple[str, Path]],
    config: CardConfig,
    probes: ProbeConfig,
    render: RenderConfig,
    run: RunConfig,
) -> dict[str, Any]:
    """What a card of these settings depends on. render: with its seed. What is optimized at once makes no difference
    but that of rounding, and is left out, unless its shape is fixed."""
    header = unit.index.header
    return {
        "phosphene": version(),
        "network": {**to_json(header.model), "labels": len(header.model.labels)},
        "layer": unit.eye.layer,
        "unit": unit.eye.unit,
        "data": [to_json(one) for one in header.covered],
        "scores": scores(unit),
        "asked": [[name, hashlib.sha256(file.read_bytes()).hexdigest()] for name, file in asked],
        "card": to_json(replace(config, abreast=CardConfig.abreast)),
        "probes": to_json(probes),
        "render": to_json(render),
        "precision": arithmetic(run).precision,
        "batch_shape": run.batch_shape,
    }


def scores(unit: Unit) -> str:
    """The SHA-256 of what an index knows of a unit: pictures that were changed under the same name change it."""
    index, digest = unit.index, hashlib.sha256()
    column = index.columns(unit.eye.layer).start + unit.eye.unit
    for part in (index.tally.top, index.tally.bottom):
        for values in (part.scores, part.numbers):
            digest.update(np.ascontiguousarray(values[column]).tobytes())
    sample = index.tally.sample
    for values in (sample.numbers, sample.scores[:, column], index.tally.histogram[column]):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
