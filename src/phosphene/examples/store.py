"""An index on disk: a folder with `index.json` (the header) and one safetensors file (the numbers).

The JSON names the safetensors file, whose name holds a hash of its content. It is written after it, in one move, and
only then are older numbers removed: whenever a scan is killed, the folder holds a whole index, the last or the one
before. Nothing about time or machine is written, so equal indexes are equal files. An index is untrusted data: every
field is checked, and nothing of it is run.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load as read_tensors
from safetensors.numpy import save as tensor_bytes

from phosphene.errors import RecipeError
from phosphene.examples.header import Header, IndexFileError
from phosphene.examples.histogram import BINS
from phosphene.examples.ranked import NO_PICTURE
from phosphene.examples.tally import Tally
from phosphene.files import HASH_DIGITS, atomic_write, ensure_folder, reason
from phosphene.jsondata import from_json, to_json

SCHEMA = 1
FORMAT = "phosphene index"
HEADER = "index.json"
NUMBERS = re.compile(r"numbers-[0-9a-f]{12}\.safetensors")


def save(folder: Path, header: Header, tally: Tally) -> Path:
    """Write an index into `folder`; returns it. Raises FileError with the old index untouched."""
    ensure_folder(folder)
    data = tensor_bytes({name: value.copy() for name, value in tally.arrays().items()})
    numbers = folder / f"numbers-{hashlib.sha256(data).hexdigest()[:HASH_DIGITS]}.safetensors"
    atomic_write(numbers, data)
    text = {"format": FORMAT, "schema": SCHEMA, "numbers": numbers.name, **to_json(header)}
    atomic_write(folder / HEADER, (json.dumps(text, ensure_ascii=True, indent=1) + "\n").encode())
    for old in folder.iterdir():
        if NUMBERS.fullmatch(old.name) and old != numbers:
            old.unlink(missing_ok=True)
    return folder


def exists(folder: Path) -> bool:
    """Whether there is an index, sound or not."""
    return (folder / HEADER).is_file()


def load(folder: Path) -> tuple[Header, Tally]:
    """Read an index. Raises IndexFileError when it is absent, damaged or of a newer version."""
    file = folder / HEADER
    if not exists(folder):
        raise IndexFileError(
            f"no index in '{folder}': it has no {HEADER}; make one with phosphene scan --out '{folder}'"
        )
    try:
        text = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise IndexFileError(f"index '{folder}' is damaged: {HEADER} is no JSON ({error})") from error
    except OSError as error:
        raise IndexFileError(f"cannot read '{file}': {reason(error)}") from error
    if not isinstance(text, dict) or text.get("format") != FORMAT or not isinstance(text.get("schema"), int):
        raise IndexFileError(f"'{file}' is no index of phosphene")
    if text["schema"] > SCHEMA:
        raise IndexFileError(
            f"index '{folder}' has version {text['schema']}, this phosphene reads up to {SCHEMA}; update phosphene"
        )
    try:
        header = from_json(Header, text, where=HEADER)
        return header, _numbers(folder, str(text.get("numbers")), header)
    except (RecipeError, KeyError, ValueError, SafetensorError) as error:
        raise IndexFileError(f"index '{folder}' is damaged: {error}") from error
    except OSError as error:
        raise IndexFileError(f"index '{folder}' cannot be read: {reason(error)}") from error


def _numbers(folder: Path, name: str, header: Header) -> Tally:
    """The tally of an index. Raises ValueError for what does not fit its header."""
    if not NUMBERS.fullmatch(name):
        raise ValueError(f"numbers in {name!r}")
    data = (folder / name).read_bytes()
    if hashlib.sha256(data).hexdigest()[:HASH_DIGITS] not in name:
        raise ValueError(f"{name} was changed")
    tally = Tally.from_arrays(header.images, read_tensors(data), header.classes)
    units = sum(layer.units for layer in header.layers)
    if (tally.units, tally.top.scores.shape[1]) != (units, header.kept.top) or tally.histogram.shape != (units, BINS):
        raise ValueError(f"{name} does not fit {HEADER}")
    for part in (tally.top, tally.bottom, tally.sample):
        held = part.numbers[part.numbers != NO_PICTURE]
        if held.size and not (held.min() >= 0 and held.max() < len(header.keys)):
            raise ValueError(f"{name} refers to pictures without keys")
    return tally
