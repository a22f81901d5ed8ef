"""What follows from the numbers of a probe of a unit that hears, in one sentence; thresholds are those of pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping

from phosphene.cards.sound_changes import HIGH, IN_NOISE, LOW, LOWEST, NO_PART, QUIETER, REVERSED, SHUFFLED, Band
from phosphene.cards.words import KEPT, LOST, listed, measured, percent

SILENT = "Its strongest examples excite it no more than faint noise does, so no change can tell what it needs."
WIDE = 2.5  # octaves: a band wider than that says nothing of pitch

TOLD = {
    LOW: "of what lies below 1 kHz",
    HIGH: "of what lies above",
    REVERSED: "when reversed",
    SHUFFLED: "when short pieces are shuffled",
}


def sentence(kept: Mapping[str, float], band: Band, rate: int) -> str:
    """The sentence for {change: share of the activation kept, or NaN}. band: the smallest that is enough, in Hz."""
    known = measured(kept)
    if not known:
        return SILENT
    said = [f"{percent(known[name])} {words}" for name, words in TOLD.items() if name in known]
    return " ".join([f"Keeps {listed(said)}: {verdict(known, band, rate)}.", *asides(known)])


def verdict(kept: Mapping[str, float], band: Band, rate: int) -> str:
    """What the unit answers to: which pitches, and whether their order counts."""
    if not measured(kept):
        return "nothing beyond faint noise"
    return f"{pitches(kept, band, rate)}, {course(kept)}"


def pitches(kept: Mapping[str, float], band: Band, rate: int) -> str:
    """High or low, and the band where it is narrow."""
    low, high = kept.get(LOW, math.nan), kept.get(HIGH, math.nan)
    if high >= KEPT and low <= LOST:
        what = "a high sound"
    elif low >= KEPT and high <= LOST:
        what = "a low sound"
    elif low >= KEPT and high >= KEPT:
        return "a sound whose low or high part is enough alone"
    else:
        what = "a sound of low and high pitches together" if max(low, high) <= LOST else "a sound"
    if math.log2(band[1] / max(band[0], LOWEST)) <= WIDE:
        what += f" of {hertz(band, rate)}"
    return what


def hertz(band: Band, rate: int) -> str:
    """A band to read."""
    if band[0] <= LOWEST:
        return "all pitches" if band[1] >= rate / 2 else f"up to {band[1]:.0f} Hz"
    return f"{band[0]:.0f} Hz and more" if band[1] >= rate / 2 else f"{band[0]:.0f} to {band[1]:.0f} Hz"


def course(kept: Mapping[str, float]) -> str:
    """Whether it is a sequence: what is lost backwards, and in short pieces out of order."""
    back, pieces = kept.get(REVERSED, math.nan), kept.get(SHUFFLED, math.nan)
    if back >= KEPT and pieces >= KEPT:
        return "not a sequence"
    if back <= LOST:
        return "a sequence that has a direction"
    if back >= KEPT and pieces <= LOST:
        return "which must last or go on, the same backwards"
    return "whose order matters in part"


def asides(kept: Mapping[str, float]) -> list[str]:
    """Sentences on level, noise, and the rest of the sound, where the numbers say something."""
    said = []
    softer, noise = kept.get(QUIETER, math.nan), kept.get(IN_NOISE, math.nan)
    if softer >= KEPT:
        said.append(f"Its level does not matter: {percent(softer)} at 20 dB less.")
    elif softer <= LOST:
        said.append(f"Its level matters: {percent(softer)} at 20 dB less.")
    if noise <= LOST:
        said.append(f"Noise drowns it: {percent(noise)} with white noise 10 dB below.")
    removed = kept.get(NO_PART, math.nan)
    if removed >= KEPT:
        said.append(f"The shortest part is not all there is: {percent(removed)} without it, from elsewhere.")
    elif removed <= LOST:
        said.append(f"Without the shortest part {percent(removed)} is left.")
    return said
