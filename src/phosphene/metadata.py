"""The recipe inside a picture or sound: written as PNG text, read back as untrusted data.

A picture that cannot say how it was made cannot be made again. Its recipe, a JSON text, travels in an uncompressed
iTXt chunk under the key `phosphene` (PNG specification, third edition, 11.3.3.4), and in `NAME.json` beside the
file for formats without such a place and for programs that drop text when they save. Pictures come from strangers:
the text is read without decoding the pixels, and its size, depth and numbers are bounded before anyone acts on it.
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any, NoReturn

from PIL import Image
from torch import Tensor

from phosphene.errors import RecipeError
from phosphene.files import atomic_write, reason
from phosphene.media import Picture, png_bytes, read_info, to_levels, wav_bytes
from phosphene.media.wav import Levels

KEY = "phosphene"
COMMENT = "ICMT"  # the text of a WAV file's INFO that is the recipe
MAX_RECIPE_BYTES = 256_000  # 256 kB; a sheet of a thousand units needs about 100 kB
MAX_DEPTH = 32  # nested lists and objects; objective trees of hand-written targets stay below ten


def embed(picture: Picture, recipe: str, *, description: str = "") -> bytes:
    """A PNG of `picture` (as for `media.png_bytes`) that carries `recipe`, and a readable line for other programs.

    Raises `RecipeError` when the recipe is too large to be read back.
    """
    _refuse_long(recipe, "this picture")
    text = {KEY: recipe, "Software": "phosphene"}
    return png_bytes(picture, text | ({"Description": description} if description else {}))


def embed_in_sound(levels: Levels, rate: int, recipe: str, *, description: str = "") -> bytes:
    """A 16-bit WAV of `levels` (channels, samples) whose comment (INFO, ICMT) is `recipe`.

    Raises `RecipeError` when the recipe is too large to be read back.
    """
    _refuse_long(recipe, "this sound")
    return wav_bytes(levels, rate, {"INAM": description, "ISFT": "phosphene", COMMENT: recipe})


def write_sound(
    path: str | Path, sound: Tensor, rate: int, recipe: dict[str, Any] | None, *, description: str = ""
) -> None:
    """Write (channels, samples) in [-1, 1] as a 16-bit WAV with the recipe inside and NAME.json beside it.

    Without a recipe neither is there: a NAME.json of an earlier sound goes, for it would speak for this one.
    """
    file, levels = Path(path), to_levels(sound.numpy())
    if recipe is None:
        sidecar(file).unlink(missing_ok=True)
        atomic_write(file, wav_bytes(levels, rate))
        return
    text = json.dumps(recipe, ensure_ascii=False)
    atomic_write(file, embed_in_sound(levels, rate, text, description=description))
    atomic_write(sidecar(file), (json.dumps(recipe, ensure_ascii=False, indent=1) + "\n").encode())


def sidecar(path: str | Path) -> Path:
    """Where the recipe of the file `path` lies beside it: `out/sheet.png` has `out/sheet.json`."""
    return Path(path).with_suffix(".json")


def read_recipe_text(path: str | Path) -> str:
    """The recipe of a picture or sound: from inside a PNG or WAV, else from its sidecar; a `.json` file is its own.

    The text is bounded in size and otherwise unchecked: give it to `parse_untrusted_json`. Raises `RecipeError` when
    there is none, and says where it looked.
    """
    path = Path(path)
    beside = sidecar(path)
    if path != beside and not path.is_file():
        raise RecipeError(f"cannot read a recipe from '{path}': there is no such file")
    text = _inside(path)
    if text is None:
        text = _beside(path, beside)
    _refuse_long(text, f"'{path}'")
    return text


def parse_untrusted_json(text: str) -> dict[str, Any]:
    """The JSON object in `text`, read strictly and within limits.

    Raises `RecipeError` for more than 256 kB, nesting over 32, NaN and infinities (also 1e999), a key that comes
    twice, text that is not Unicode, or anything but an object at the top.
    """
    _refuse_long(text, "this text")
    if _depth(text) > MAX_DEPTH:
        raise RecipeError(f"this is no recipe: it is nested more than {MAX_DEPTH} deep")
    try:
        value = json.loads(text, parse_constant=_refuse_number, parse_float=_finite, object_pairs_hook=_object)
        json.dumps(value, ensure_ascii=False).encode()  # lone surrogates pass json, and fail wherever they are printed
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"this is no recipe: {error}") from error
    if not isinstance(value, dict):
        raise RecipeError(f"this is no recipe: the top is a {type(value).__name__}, not an object")
    return value


def _inside(path: Path) -> str | None:
    """The text under our key in a PNG, or of a WAV's comment; None in any other file and where it has none."""
    if path.suffix.lower() == ".wav":
        comment = read_info(path).get(COMMENT, "") if path.is_file() else ""
        return comment if comment.startswith("{") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of size: no pixel is decoded here
        try:
            with Image.open(path, formats=("PNG",)) as image:
                text = image.info.get(KEY)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None
    return str(text) if isinstance(text, str) else None


def _beside(path: Path, beside: Path) -> str:
    try:
        if beside.stat().st_size > MAX_RECIPE_BYTES:
            raise RecipeError(f"the recipe '{beside}' is larger than {MAX_RECIPE_BYTES // 1000} kB")
        return beside.read_text(encoding="utf-8")
    except FileNotFoundError:
        where = f"neither inside it nor in '{beside}'" if path != beside else "there is no such file"
        raise RecipeError(f"no recipe for '{path}': {where}") from None
    except UnicodeDecodeError:
        raise RecipeError(f"cannot read the recipe '{beside}': it is not UTF-8 text") from None
    except OSError as error:
        raise RecipeError(f"cannot read the recipe '{beside}': {reason(error)}") from error


def _refuse_long(text: str, where: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_RECIPE_BYTES:
        raise RecipeError(f"the recipe of {where} is larger than {MAX_RECIPE_BYTES // 1000} kB")


def _depth(text: str) -> int:
    """The deepest nesting of brackets outside strings, in one pass and without recursion."""
    depth = deepest = 0
    quoted = escaped = False
    for character in text:
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} comes twice")
        found[key] = value
    return found


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_number(text)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a finite number")
