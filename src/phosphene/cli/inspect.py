"""`phosphene models`, `layers`, `classify` and `doctor`: what there is, and whether it is set up right."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Annotated, Any

from cyclopts import Parameter

from phosphene.cli.console import Screen
from phosphene.cli.default import network_and_pictures, told
from phosphene.cli.options import (
    Json,
    Network,
    NetworkFlags,
    Quiet,
)
from phosphene.engine import arithmetic
from phosphene.engine.batching import free_memory
from phosphene.engine.environment import environment
from phosphene.errors import PhospheneError, UsageError
from phosphene.files import cache_dir, ensure_folder
from phosphene.media import opaque, read_picture
from phosphene.models import DEFAULT_MODEL, Layer, ModelEntry, known, to_input
from phosphene.models import classify as classified
from phosphene.models.table import layer_table
from phosphene.recipe import RunConfig

EXTRAS = {
    "timm": "timm",
    "transformers": "transformers",
    "soundfile": "audio",
    "torchcrepe": "crepe",
    "ray": "ray",
    "fastapi": "web",
    "av": "video",
    "datasets": "datasets",
}


def models(query: str = "", /, *, as_json: Json = False, quiet: Quiet = False) -> int:
    """List the networks that can be loaded by name, and which weights are on this machine.

    Parameters
    ----------
    query
        Part of a name, such as resnet; `timm:` with part of a name lists timm's.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    entries = known(query)
    if not entries:
        raise UsageError(f"no model has {query!r} in its name; phosphene models lists them all")
    if as_json:
        screen.json({"models": [_entry(entry) for entry in entries]})
        return 0
    rows = [
        (
            entry.name,
            _count(entry.parameters),
            "x".join(map(str, entry.size)) if entry.size else "",
            "here" if entry.cached else "",
            _license(entry),
        )
        for entry in entries
    ]
    screen.table(("name", "parameters", "input", "weights", "license"), rows)
    screen.say(f"{len(entries)} models; your own: package.module:factory")
    return 0


def _entry(entry: ModelEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "source": entry.source,
        "parameters": entry.parameters,
        "size": list(entry.size) if entry.size else None,
        "license": entry.license,
        "cached": entry.cached is not None,
    }


def _license(entry: ModelEntry) -> str:
    """What fits into a column; some publishers give an address."""
    return "see --json" if "://" in (entry.license or "") else entry.license or ""


def _count(parameters: int | None) -> str:
    return f"{parameters / 1e6:.1f} M" if parameters else ""


def layers(
    model: str | None = None,
    /,
    *,
    receptive: Annotated[bool, Parameter(negative="")] = False,
    opened: NetworkFlags = Network(),
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """List the layers of a network: name, alias, units, size, stride, receptive field.

    Parameters
    ----------
    model
        Name of a network, `timm:NAME`, or `package.module:factory`; `minivgg`, the small one inside phosphene, when
        it is left out.
    receptive
        Measure receptive fields too (takes a while on deep networks).
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    if model is None:
        told(screen, "phosphene layers")
    network = opened.open(model or DEFAULT_MODEL)
    found = layer_table(network.net, network.picture_spec, receptive=True) if receptive else network.layers
    if as_json:
        screen.json({"model": network.name, "layers": [_layer(layer) for layer in found.values()]})
        return 0
    rows = [
        (
            layer.name,
            " ".join(layer.aliases),
            layer.kind,
            layer.channels,
            _space(layer),
            layer.stride or "",
            (layer.receptive_field or "whole") if receptive else "",
        )
        for layer in found.values()
    ]
    header = ("name", "alias", "kind", "units", "space", "stride", "sees" if receptive else "")
    screen.table(header, rows)
    return 0


def _space(layer: Layer) -> str:
    if layer.tokens is not None:
        prefix, height, width = layer.tokens
        return f"{prefix}+{height}x{width} tokens" if prefix else f"{height}x{width} tokens"
    return "x".join(map(str, layer.spatial))


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "aliases": list(layer.aliases),
        "kind": layer.kind,
        "channels": layer.channels,
        "spatial": list(layer.spatial),
        "layout": layer.layout,
        "stride": layer.stride,
        "receptive_field": layer.receptive_field,
    }


def classify(
    model: str,
    image: tuple[str, ...] = (),
    /,
    *,
    top: int = 5,
    as_is: Annotated[bool, Parameter(negative="")] = False,
    opened: NetworkFlags = Network(),
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Print the classes that a network sees in pictures: a check that weights, preprocessing and labels are right.

    Parameters
    ----------
    model
        Name of a network, `timm:NAME`, or `package.module:factory`; `minivgg`, the small one inside phosphene, when
        it is left out.
    image
        Pictures; each is resized and cropped as the network was trained.
    top
        How many classes to print for each.
    as_is
        Neither resize nor crop: for pictures that phosphene made, which are to be seen pixel for pixel.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    if top < 1:
        raise UsageError(f"--top must be at least 1, got {top}")
    name, paths = network_and_pictures((model, *image), screen)
    network = opened.open(name)
    results: list[dict[str, Any]] = []
    failed = 0
    for path in paths:
        try:
            picture = opaque(read_picture(path))
        except PhospheneError as error:
            screen.err.print(f"error: {error}")
            failed += 1
            continue
        size = (picture.height, picture.width)
        own = network.picture_spec
        spec = replace(own, size=size, resize=None) if as_is else own
        best = classified(network, to_input(picture, spec), top)
        names = ("index", "label", "probability", "logit")
        results.append({"path": str(path), "classes": [dict(zip(names, row, strict=True)) for row in best]})
        screen.result(str(path))
        for index, label, probability, logit in best:
            screen.result(f"  {100 * probability:5.1f}%  {index:4d}  {label}  (logit {logit:.3f})")
    if as_json:
        screen.json({"model": network.name, "results": results})
    return 1 if failed else 0


def doctor(*, as_json: Json = False, quiet: Quiet = False) -> int:
    """Check this machine: versions, device, arithmetic, memory, folders, weights, optional packages."""
    screen = Screen(quiet=quiet, as_json=as_json)
    chosen = arithmetic(RunConfig())
    facts: dict[str, Any] = environment(chosen)
    facts["free memory"] = f"{free_memory(chosen.device) / 2**30:.1f} GiB"
    problems: list[str] = []
    try:
        ensure_folder(cache_dir())
        facts["cache folder"] = "writable"
    except PhospheneError as error:
        problems.append(str(error))
    here = [entry.name for entry in known() if entry.cached is not None]
    facts["weights here"] = ", ".join(here) or "none; the first use of a network downloads its weights"
    facts["optional packages"] = ", ".join(
        f"{extra}: {'yes' if importlib.util.find_spec(package) else 'no'}" for package, extra in EXTRAS.items()
    )
    if as_json:
        screen.json({**facts, "problems": problems})
    else:
        for name, value in facts.items():
            screen.result(f"{name:20} {value}")
        for problem in problems:
            screen.result(f"problem: {problem}")
        screen.result("all is well" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0
