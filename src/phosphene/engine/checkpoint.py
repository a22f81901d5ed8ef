"""The state of a run on disk: nested tensors in safetensors, everything else as JSON beside them in the same file.

Written whole or not at all. safetensors holds no code, so a checkpoint from a stranger is data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from phosphene.errors import RecipeError, UsageError
from phosphene.files import atomic_write

TENSOR = "__tensor__"
WORK = ".phosphene"  # the folder, beside what is made, that holds the state of the work


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Save nested dicts, lists and tuples of tensors and JSON scalars."""
    tensors: dict[str, Tensor] = {}
    tree = _flatten(state, tensors)
    atomic_write(path, save(tensors, metadata={"tree": json.dumps(tree)}))


def read_state(path: Path) -> dict[str, Any]:
    """The state that `write_state` saved, on the CPU. Raises RecipeError when the file is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            # Copies: in the file tensors lie as they come, and sums over memory that is not aligned round differently.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
            tree = json.loads((file.metadata() or {})["tree"])
        state = _restore(tree, tensors)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise RecipeError(f"the checkpoint {path.name} cannot be read: {error}; delete it to start anew") from error
    if not isinstance(state, dict):
        raise RecipeError(f"the checkpoint {path.name} holds no state; delete it to start anew")
    return state


class Checkpoint:
    """The state of the work on one file, while there is one: FOLDER/.phosphene/NAME.safetensors. file: what is made."""

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)

    @property
    def checkpoint(self) -> Path:
        """The file that holds the state of the work."""
        return self.file.parent / WORK / f"{self.file.name}.safetensors"

    def keep(self, identity: Mapping[str, Any], state: dict[str, Any]) -> None:
        """Write down the state of the work. identity: JSON that tells what is being made."""
        write_state(self.checkpoint, {"identity": json.dumps(identity, sort_keys=True), "state": state})

    def restore(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """The state that an earlier run kept, None when there is none.

        Raises UsageError when it is of something else or has no such form, RecipeError when it cannot be read.
        """
        if not self.checkpoint.is_file():
            return None
        kept = read_state(self.checkpoint)
        try:
            theirs, mine = json.loads(kept["identity"]), json.loads(json.dumps(identity))
            state: dict[str, Any] = kept["state"]
            wrong = [key for key in mine if theirs.get(key) != mine[key]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"cannot resume '{self.file}': its checkpoint is damaged; leave --resume out") from error
        if wrong:
            raise UsageError(
                f"cannot resume '{self.file}': it was begun with other settings ({', '.join(wrong)}); "
                "leave --resume out to start anew"
            )
        return state

    def forget(self) -> None:
        """Remove the state of the work."""
        self.checkpoint.unlink(missing_ok=True)
        work = self.checkpoint.parent
        if work.is_dir() and not any(work.iterdir()):
            work.rmdir()


def _flatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().to("cpu").contiguous().clone()
        return {TENSOR: name}
    if isinstance(value, dict):
        return {"dict": [[key, _flatten(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_flatten(item, tensors) for item in value]}
    return value


def _restore(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    if TENSOR in tree:
        return tensors[tree[TENSOR]]
    if "dict" in tree:
        return {key: _restore(item, tensors) for key, item in tree["dict"]}
    listed: list[Any] = tree.get("list") or tree.get("tuple") or []
    items = [_restore(item, tensors) for item in listed]
    return items if "list" in tree else tuple(items)
