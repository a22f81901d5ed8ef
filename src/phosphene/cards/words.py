"""What follows from the numbers of a probe, in one sentence.

A property is needed when the unit loses most of its activation with it, and not needed when it keeps most: above
`KEPT` and below `LOST`. Between them it is said to matter in part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

KEPT, LOST = 0.6, 0.35  # shares of the activation
SILENT = "Its strongest examples excite it no more than a plain gray picture, so no change can tell what it needs."


def percent(share: float) -> str:
    """A share to read."""
    return f"{100 * share:.0f}%"


def measured(kept: Mapping[str, float]) -> dict[str, float]:
    """What is known of {change: share of the activation kept, or NaN}."""
    return {name: share for name, share in kept.items() if math.isfinite(share)}


def sentence(kept: Mapping[str, float]) -> str:
    """The sentence for {change: share of the activation kept, or NaN}."""
    known = measured(kept)
    if not known:
        return SILENT
    said = [f"{percent(known[name])} {words}" for name, words in TOLD.items() if name in known]
    begin = f"Keeps {listed(said)}: {verdict(known)}."
    return " ".join([begin, *asides(known)])


TOLD = {
    "gray": "when gray",
    "hue turned": "with every hue turned to its opposite",
    "blurred": "when blurred",
    "high-passed": "of fine detail alone",
    "pieces shuffled": "when pieces are shuffled",
}


def verdict(kept: Mapping[str, float]) -> str:
    """What the unit answers to: a color, a texture or a shape, or what between them. kept: as for `sentence`."""
    if not measured(kept):
        return "nothing beyond plain gray"
    gray, hue = kept.get("gray", math.nan), kept.get("hue turned", math.nan)
    pieces, blur = kept.get("pieces shuffled", math.nan), kept.get("blurred", math.nan)
    if gray <= LOST and blur >= KEPT and pieces >= KEPT:
        return "any strong color, in whatever form" if hue >= KEPT else "a color, in whatever form"
    fine = grain(blur, kept.get("high-passed", math.nan)) if gray > LOST or math.isnan(gray) else ""
    if math.isnan(pieces):
        form = "a{} detail of a few pixels"
    elif pieces >= KEPT:
        form = f"a{{}} texture{fine}, not a shape"
    elif pieces <= LOST:
        form = f"a{{}} shape{fine}"
    else:
        form = f"something{{}} in between a texture and a shape{fine and ','}{fine}"
    if gray <= LOST:
        return form.format(" colored") + (", of any hue" if hue >= KEPT else "")
    return form.format("") + color(gray, hue)


def grain(blur: float, fine: float) -> str:
    """What of a form it is: blur is kept without fine detail, fine of nothing else."""
    if blur >= KEPT and fine <= LOST:
        return " of coarse areas of light and dark"
    return " of fine detail" if fine >= KEPT and blur <= LOST else ""


def color(gray: float, hue: float) -> str:
    """What its color has to do with it, where it is not needed: kept in gray, and with opposite hues."""
    if math.isnan(gray):
        return ""
    if gray >= KEPT and hue >= KEPT:
        return ", whatever its color"
    return (
        ", in gray too but not in the opposite color"
        if gray >= KEPT and hue <= LOST
        else ", whose color matters in part"
    )


def asides(kept: Mapping[str, float]) -> list[str]:
    """Sentences on direction and on the rest of the picture, where the numbers say something."""
    said = []
    turned, mirrored = kept.get("turned", math.nan), kept.get("mirrored", math.nan)
    if turned <= LOST:
        said.append(f"Its direction matters: the patch keeps {percent(turned)} when turned.")
    elif turned >= KEPT:
        said.append(f"Its direction does not matter: the patch keeps {percent(turned)} when turned.")
    if mirrored <= LOST:
        said.append(f"Left and right differ: the patch keeps {percent(mirrored)} when mirrored.")
    removed = kept.get("patch removed", math.nan)
    if removed >= KEPT:
        said.append(f"The patch is not all there is: {percent(removed)} without it, from elsewhere in the picture.")
    elif removed <= LOST:
        said.append(f"Without the patch {percent(removed)} is left.")
    return said


def listed(parts: list[str]) -> str:
    """Parts joined as in speech."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
