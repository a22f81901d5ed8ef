"""`phosphene natural`: what pictures of your own have in common, for `--natural` of render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.cli.console import Screen, relative
from phosphene.cli.options import Json, Quiet
from phosphene.errors import MediaError, UsageError
from phosphene.files import atomic_write
from phosphene.media import opaque, read_picture, to_tensor
from phosphene.natural import SURVEY_SIDE, Natural, Survey

SUFFIX = ".json"


def natural(
    folder: Path,
    /,
    *,
    side: Annotated[int, Parameter(group="Picture")] = SURVEY_SIDE,
    out: Annotated[Path, Parameter(group="Output")] = Path("natural.json"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure the colors and the spectrum of a folder of pictures, for optimised pictures that are like them.

    Examples: `phosphene natural photographs --out photographs.json`, then
    `phosphene render squeezenet1_1 features.12:50 --signal maco --natural photographs.json`.

    Parameters
    ----------
    folder
        Pictures, also in folders below it; what is none is passed over. A hundred will do.
    side
        Pixels: the middle square of each picture is brought to this size, the one that your network sees.
    out
        The file, a few kilobytes of JSON. It holds averages only.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    if out.suffix.lower() != SUFFIX:
        raise UsageError(f"natural statistics are saved as {SUFFIX}, got {out.name!r}")
    found, passed_over = measured(folder, side)
    atomic_write(out, (found.to_text() + "\n").encode())
    slope = found.slope()
    if passed_over:
        screen.say(f"{passed_over} files are no pictures, or smaller than {side} pixels; passed over")
    if screen.as_json:
        screen.json({"path": relative(out), "pictures": found.pictures, "color": found.color, "slope": round(slope, 3)})
    screen.result(f"{relative(out)}  {found.pictures} pictures, amplitude falls as 1/f^{slope:.2f}")
    return 0


def measured(folder: Path, side: int) -> tuple[Natural, int]:
    """The statistics of a folder, and how many files did not serve. Raises UsageError when none did."""
    if not folder.is_dir():
        raise UsageError(f"'{folder}' is no folder of pictures")
    survey, passed_over = Survey(side), 0
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or file.name.startswith("."):
            continue
        try:
            image = opaque(read_picture(file)).convert("RGB")
        except MediaError:
            passed_over += 1
            continue
        if min(image.size) < side:
            passed_over += 1  # enlarged, it would have no high frequencies
        else:
            survey.add(to_tensor(image))
    if not survey.pictures:
        raise UsageError(f"there is no picture of {side} pixels or more in '{folder}'")
    return survey.found(), passed_over
