"""The state of a run on disk: nested tensors in safetensors, everything else as JSON beside them in the same file.

Written whole or not at all. safetensors holds no code, so a checkpoint from a stranger is data.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from phosphene.errors import RecipeError
from phosphene.files import atomic_write

TENSOR = "__tensor__"


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
