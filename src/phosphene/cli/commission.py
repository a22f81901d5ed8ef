"""What the words and flags of `phosphene style` ask for: which pictures make which painting, and where it goes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from torch import Tensor

from phosphene.errors import PhospheneError, UsageError
from phosphene.files import spare
from phosphene.media import Bits, output_format
from phosphene.models import Model
from phosphene.recipe import StyleConfig, from_json, to_json
from phosphene.style.inputs import Inputs, Mask, read, read_start
from phosphene.style.many import Commission, crossed, pictures_at
from phosphene.style.method import STARTS, method

LISTS = ";"  # between the alternatives of an option whose values hold commas themselves


@dataclass(frozen=True)
class Pictures:
    """How the pictures of a commission are read: what the flags say besides their names."""

    weights: tuple[float, ...]
    masks: dict[int, Mask]
    style_masks: dict[int, Mask]
    leave: Mask | None

    @property
    def files(self) -> list[Path]:
        """Those of the masks."""
        drawn = (*self.masks.values(), *self.style_masks.values(), *filter(None, [self.leave]))
        return [Path(mask.source) for mask in drawn if not isinstance(mask.source, Tensor)]

    def read(self, commission: Commission) -> Inputs:
        """The inputs of a commission. Raises MediaError for what cannot be read, UsageError for what does not fit."""
        _, start = read_start(commission.config.start)
        styles = tuple(read(file, "style") for file in commission.styles)
        inputs = Inputs(
            read(commission.content, "content"), styles, self.weights, self.masks, self.style_masks, self.leave, start
        )
        inputs.job(commission.config)
        return inputs


def commissioned(
    content: Path,
    styles: Sequence[Path],
    settings: StyleConfig,
    out: Path,
    format: str,
    *,
    each: bool,
    sweep: str | None,
) -> list[Commission]:
    """What the words and flags ask for. Raises UsageError for what does not fit together."""
    if not styles:
        raise UsageError("no style picture: phosphene style CONTENT STYLE")
    contents = pictures_at(content)
    found = [file for style in styles for file in pictures_at(style)]
    apart = each or any(style.is_dir() for style in styles)
    groups = [(file,) for file in found] if apart else [tuple(found)]
    single = bool(out.suffix) and not os.path.isdir(out)
    commissions = crossed(
        contents, groups, out.parent if single else out, out.suffix if single else f".{format}", settings
    )
    if sweep is not None:
        commissions = [variant for one in commissions for variant in swept(one, sweep)]
    elif single and len(commissions) == 1:
        commissions = [replace(commissions[0], file=out)]
    elif single:
        raise UsageError(f"--out {out} is one file, and {len(commissions)} paintings are asked for; name a folder")
    return commissions


def swept(commission: Commission, sweep: str) -> list[Commission]:
    """The commission with each value of an option. Raises UsageError for an option that there is not."""
    option, equals, text = sweep.partition("=")
    option = option.strip().replace("-", "_")
    if not equals or option not in {field.name for field in fields(StyleConfig)}:
        known = ", ".join(field.name for field in fields(StyleConfig))
        raise UsageError(f"--sweep is OPTION=A,B,C with an option of {known}; got {sweep!r}")
    values = [value.strip() for value in text.split(LISTS if LISTS in text else ",")]
    settings = to_json(commission.config)
    made = []
    for value in values:
        try:
            config = from_json(StyleConfig, {**settings, option: parsed(value)}, where="--sweep")
        except PhospheneError as error:
            raise UsageError(str(error)) from error
        ending = re.sub(r"[^\w.+-]+", "-", f"{option}-{value}")
        file = commission.file.with_name(f"{commission.file.stem}.{ending}{commission.file.suffix}")
        made.append(replace(commission, config=config, file=file, label=f"{option} {value}"))
    return made


def parsed(text: str) -> int | float | str | bool:
    """A value of an option as it is meant: a number where it is one."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def check_outputs(
    commissions: Sequence[Commission], pictures: Pictures, bits: Bits | None, preview: Path | None
) -> None:
    """Raise before any computing where a result could not be written in its format, or over a picture handed in."""
    for commission in commissions:
        output_format(commission.file, bits=bits or 8)
    starts = {Path(one.config.start) for one in commissions if one.config.start not in (None, *STARTS)}
    handed_in = {path for one in commissions for path in (one.content, *one.styles)}
    spare([*handed_in, *starts, *pictures.files], [*(one.file for one in commissions), *filter(None, [preview])])


def check_settings(commissions: Sequence[Commission], network: Model) -> None:
    """Raise for settings that this network or no network can carry out: what is wrong with all is said once."""
    for config in dict.fromkeys(one.config for one in commissions):
        method(config, network)


def numbered(texts: Sequence[str], option: str) -> dict[int, Mask]:
    """`2=sky.png` as {2: mask}."""
    found: dict[int, Mask] = {}
    for text in texts:
        number, equals, file = text.partition("=")
        if not equals or not number.strip().isdigit() or not file:
            raise UsageError(f"{option} is N=FILE with the number of a style, such as 1=sky.png; got {text!r}")
        if int(number) in found:
            raise UsageError(f"{option} names style {int(number)} twice; draw both regions in one picture")
        found[int(number)] = masked(file)
    return found


def masked(text: str) -> Mask:
    """`regions.png@#3366ff`, or `sky.png`."""
    file, at, color = text.rpartition("@")
    return Mask(file, color) if at and file and not Path(text).exists() else Mask(text)
