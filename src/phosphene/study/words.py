"""The sentences that follow from a study's numbers, whatever they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from phosphene.study.finding import WORDS, Asked, ClassStudy, Finding, short, signed
from phosphene.study.split import Split


def sentence(finding: Finding) -> str:
    """What the numbers of one class say of its probability and its logit."""
    against = finding.against
    return (
        f"{came_from(finding['prob'])} {came_from(finding['logit'])} Asked for by probability they end "
        f"{apart(against.gain)} than by logit: {signed(against.own)} from the class's own logit, "
        f"{signed(against.others)} from the others."
    )


def came_from(one: Asked) -> str:
    """Where the log-odds of one picture came from."""
    gain = one.gain
    return (
        f"By {WORDS[one.question]}, the log-odds {moved(gain.gain)}: {signed(gain.own)} from the class's own logit, "
        f"{signed(gain.others)} from the others."
    )


def verdict(study: ClassStudy) -> tuple[str, ...]:
    """What the study says of the claim; () of no class."""
    if not len(study):
        return ()
    by_probability, by_logit = ([finding[question] for finding in study] for question in ("prob", "logit"))
    mostly = sum(one.gain.others > one.gain.own for one in by_probability)
    count = len(study)
    classes, mean = (f"{count} classes", " on average") if count > 1 else ("1 class", "")
    against = (1 / count) * sum((finding.against for finding in study), Split())
    return (
        f"{raised(by_probability)} {raised(by_logit)}",
        f"The others were the larger part of what the log-odds gained by probability in {mostly} of {classes}. Log p, "
        f"which gains only while the class is unlikely, owes them {part(by_probability, 'others', log=True)} by "
        f"probability and {part(by_logit, 'others', log=True)} by logit.",
        f"Asked for by probability, the log-odds end {apart(against.gain)} than by logit{mean}: {signed(against.own)} "
        f"from the class's own logit, {signed(against.others)} from the others.",
        "A number added to all logits changes no probability, but it does change these two parts. What it does not "
        "change is the class's lead over the mean of the others: it made "
        f"{part(by_probability, 'lead')} of the gain by probability and {part(by_logit, 'lead')} by logit. The rest is "
        "how far the largest of the others came down to their mean; below 0%, they rose above it.",
    )


def raised(asked: Sequence[Asked]) -> str:
    """What the pictures of one question gained, and the share of the others in it."""
    gain = sum(one.gain.gain for one in asked) / len(asked)
    mean = " on average" if len(asked) > 1 else ""
    return (
        f"Asked for by {WORDS[asked[0].question]}, the log-odds {moved(gain)}{mean}: {part(asked, 'own')} of it came "
        f"from raising the class, {part(asked, 'others')} from lowering the others."
    )


def part(asked: Sequence[Asked], name: str, *, log: bool = False) -> str:
    """A part of the gains of several pictures, of log-odds or of log p, as a share of their sum."""
    gains = [one.log_gain if log else one.gain for one in asked]
    total = sum(gain.gain for gain in gains)
    share = sum(float(getattr(gain, name)) for gain in gains) / total if total else math.nan
    return f"{share:.0%}" if math.isfinite(share) else "no share"


def moved(gain: float) -> str:
    """A gain in words."""
    return f"{'rose' if gain >= 0 else 'fell'} by {short(abs(gain))}"


def apart(difference: float) -> str:
    """A difference in words, such as "12.0 lower"."""
    return f"{short(abs(difference))} {'higher' if difference > 0 else 'lower'}"
