"""A class that is asked for by its logit, and is to be told from its relatives.

    logit:Bird  ->  logit:Bird + weight * margin:Bird

Where classes overlap (of AudioSet's, each with a sigmoid of its own, a bird is an animal too) the logits of relatives
rise together, and the broader class is often ahead: of a recorded trumpet YAMNet is surer that it is music. So the
sound with the highest logit is not always one that the network would name so. The margin, the lead over the best of
the other classes, is added where the network's entry in the registry asks for it (`Model.ahead`). It is said, and the
target that comes out names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.features.plan import named
from phosphene.models import Model
from phosphene.objectives import OUTPUT, Classes, Constant, Logit, Margin, Objective, Scale, Sum, parse
from phosphene.recipe import Settings, check_least

SUGGESTED = 3.0  # weight that is proposed where a class came behind another: it was enough for YAMNet's


@dataclass(frozen=True)
class AheadConfig(Settings):
    """Clips of a class that are ahead of other classes: a term is added to the target, which holds it from then on."""

    ahead: float | None = None
    """Of logit:CLASS: weight of the class's lead over the best other one (+ N*margin:CLASS), 0 for the logit alone;
    left out: 3 for yamnet, whose classes overlap, and 0 for the rest."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, ahead=0)


@dataclass(frozen=True)
class Standing:
    """Where a class stands on a sound. rank: 1 is first. of: classes in all. lead: logits ahead of the best other
    class, below 0 behind it. other: the name of that one."""

    rank: int
    of: int
    lead: float
    other: str

    def words(self) -> str:
        """In words."""
        side = "ahead of" if self.rank == 1 else "behind"
        return f"rank {self.rank} of {self.of}, {abs(self.lead):.2g} {side} {self.other}"


def kept_ahead(
    model: Model,
    targets: str | Objective | Sequence[str | Objective],
    wanted: AheadConfig,
    *,
    say: Callable[[str], object] = str,
) -> list[str | Objective]:
    """The targets; those that raise classes by their logits and nothing else, with the margins of those classes.

    say: is told what is added where nobody asked for it. Raises UsageError for a weight that no target takes.
    """
    asked: list[str | Objective] = [targets] if isinstance(targets, (str, Objective)) else list(targets)
    weight = model.ahead if wanted.ahead is None else wanted.ahead
    if not weight:
        return asked
    bound = [(parse(target) if isinstance(target, str) else target).bind(model) for target in asked]
    led = [_led(target, weight) for target in bound]
    added = [target for target in led if target is not None]
    if wanted.ahead is not None and not added:
        raise UsageError(f"ahead is of logit:CLASS, raised by itself, and {named(bound[0], model)} is something else")
    if wanted.ahead is None and added:
        first = named(added[0].take([0]), model)
        say(f"{model.name}: its classes overlap, so a clip is also to be ahead of them: {first} (--ahead 0: not)")
    return [old if new is None else new for old, new in zip(asked, led, strict=True)]


def advice(target: str, found: Standing) -> str:
    """How a clip of `target` (text) that came out as `found` is brought ahead; "" for one that is, or need not be."""
    tree = parse(target)
    if found.rank == 1:
        return ""
    if any(isinstance(leaf, Margin) for leaf in tree.leaves()):
        return f"{target}: {found.words()}; a larger --ahead, or more --steps, may bring it to the first rank"
    if _led(tree, 1.0) is None:  # nobody asked for more of that class
        return ""
    return f"{target}: {found.words()}; --ahead {SUGGESTED:g}, or more --steps, may bring it to the first rank"


def standing(model: Model, sound: Tensor, unit: Objective) -> Standing | None:
    """Where the class `unit` (bound, one row) stands on a sound (c, samples); None for what is no class, or the only
    one. Logits that have places are averaged over them."""
    if not isinstance(unit, Classes) or unit.layer != OUTPUT:
        return None
    with torch.no_grad():
        logits = model.activations(sound[None].to(model.device, torch.float32), [OUTPUT])[OUTPUT].float()
    logits = logits.flatten(2).mean(2)[0] if logits.dim() > 2 else logits[0]
    if len(logits) < 2 or not bool(logits.isfinite().all()):
        return None
    own = int(unit.units[0])
    others = logits.index_fill(0, torch.tensor([own], device=logits.device), -math.inf)
    other = int(others.argmax())
    rank = 1 + int((others > logits[own]).sum())
    return Standing(rank, len(logits), round(float(logits[own] - others[other]), 4), model.label(other))


def _led(target: Objective, weight: float) -> Objective | None:
    """A target (bound) with the margin of its classes; None where it does not raise one logit, and no other unit."""
    units = [leaf for leaf in target.leaves() if not leaf.regularizes and not isinstance(leaf, Constant)]
    raised = [_raised(part) for part in (target.parts if isinstance(target, Sum) else (target,))]
    if len(units) != 1 or not isinstance(units[0], Logit) or units[0].layer != OUTPUT or max(raised) <= 0:
        return None
    return target + Scale(weight * max(raised), Margin(units[0].units))


def _raised(part: Objective) -> float:
    """The weight of a logit that stands by itself in a target, 0 for any other part."""
    factor, leaf = (part.factor, part.of) if isinstance(part, Scale) else (1.0, part)
    return factor if isinstance(leaf, Logit) and isinstance(factor, float) else 0.0
