"""Which words of a command name the network, and what is meant when none does.

The first word is the network, unless it can only be something else: a target of the network inside the package
(`conv4_1:3`, `logit:star`), or a picture that lies there. A name that is both is taken as the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from phosphene.cli.console import Screen
from phosphene.errors import PhospheneError, UsageError
from phosphene.models import DEFAULT_MODEL, is_known
from phosphene.models.labels import find_label
from phosphene.models.minivgg import layer_names
from phosphene.objectives import INPUT, OUTPUT, parse
from phosphene.textures import CLASSES

BIGGER = "squeezenet1_1"  # what is named as an example of a larger network: 5 MB, fast, and trained on photographs


def network_and_targets(
    words: Sequence[str], screen: Screen, command: str = "phosphene render", rest: str = "TARGET..."
) -> tuple[str, list[str]]:
    """Split MODEL TARGET... where MODEL may have been left out. command, rest: what a larger network is shown with.

    Raises UsageError when no target is left.
    """
    first, targets = words[0], list(words[1:])
    asked = _asked(first)
    own = asked <= {*layer_names(), INPUT, OUTPUT}
    if asked and not is_known(first) and (own or (not targets and ":" in first)):
        told(screen, command, rest)
        return DEFAULT_MODEL, list(words)
    if not targets:
        raise UsageError(f"no target for {first}: name one, such as logit:0; phosphene layers {first} lists its layers")
    return first, targets


def network_and_pictures(words: Sequence[str], screen: Screen) -> tuple[str, list[Path]]:
    """Split MODEL IMAGE... where MODEL may have been left out. Raises UsageError when no picture is left."""
    first, rest = words[0], list(words[1:])
    if not is_known(first) and (not rest or Path(first).is_file()):
        told(screen, "phosphene classify", "IMAGE...")
        return DEFAULT_MODEL, [Path(word) for word in words]
    if not rest:
        raise UsageError(f"no picture for {first}: phosphene classify {first} IMAGE...")
    return first, [Path(word) for word in rest]


def network_and_classes(words: Sequence[str], screen: Screen) -> tuple[str, list[str]]:
    """Split MODEL CLASS... where MODEL may have been left out. Raises UsageError when no class is left."""
    first, rest = words[0], list(words[1:])
    if not is_known(first) and ":" not in first and (not rest or _is_class(first)):
        told(screen, "phosphene study class", "CLASS...")
        return DEFAULT_MODEL, list(words)
    if not rest:
        raise UsageError(f"no class for {first}: phosphene study class {first} CLASS..., by name or number")
    return first, rest


def told(screen: Screen, command: str, rest: str = "") -> None:
    """Say which network serves because none was named, and how to name a larger one."""
    screen.say(
        f"{DEFAULT_MODEL}, the small network inside phosphene; for a larger one: "
        f"{' '.join(filter(None, (command, BIGGER, rest)))} (phosphene models lists them)"
    )


def _is_class(word: str) -> bool:
    """Whether the network inside the package has a class of that name or number."""
    try:
        find_label(CLASSES, word)
    except PhospheneError:
        return False
    return True


def _asked(word: str) -> frozenset[str]:
    """The layers that a word asks for; none when it is no target."""
    try:
        return parse(word).layers
    except PhospheneError:
        return frozenset()
