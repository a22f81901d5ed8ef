"""Finding and reading weights: loud, strict, and never running code.

Looked for in this order: the file that was asked for; `$PHOSPHENE_WEIGHTS/NAME.safetensors` (then .pth, .pt); the torch
hub cache; the publisher's download, checked against the hash that its name carries. A safetensors file is plain data.
Any other file is read by torch's restricted unpickler (`weights_only=True`); when that refuses, so does phosphene:
a fallback to full pickle would run whatever code the file holds. A network gets weights that fit it exactly and are
finite, or none: a network with half its weights, or NaN in them, makes pictures that look plausible and mean nothing.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from phosphene.errors import PhospheneError, WeightsError
from phosphene.files import download

RANDOM = "random"  # what to ask for to get a network with random weights
RANDOM_SEED = 0  # random networks are the same every time
SUFFIXES = (".safetensors", ".pth", ".pt")  # in the order they are looked for
WRAPPERS = ("state_dict", "model", "model_state_dict")  # where training scripts put the state in a checkpoint
PARALLEL_PREFIX = "module."  # torch.nn.DataParallel puts it before every name
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # torch hub: NAME-<first digits of the sha256>.pth
CHECKPOINT_STARTS = (b"PK", b"\x80")  # a zip file, or a pickle as torch wrote before 1.6
CODE_IN_ERROR = re.compile(r"GLOBAL ([\w.]+)")  # how torch's restricted unpickler names what it refuses
UNUSED_IN_EVAL = "num_batches_tracked"  # a counter of batch norm's training; files older than PyTorch 0.4.1 lack it
NAMED_AT_MOST = 3  # names quoted in a message before "..."

T = TypeVar("T")
Net = TypeVar("Net", bound=nn.Module)
Rename = Callable[[str], str | None]


def find_weights(name: str, weights: str | Path | None = None, *, url: str | None = None) -> Path:
    """The file with the weights of the network `name`; may download it.

    weights: a file that was asked for, and then the only one looked at. url: where the publisher keeps it.
    Raises WeightsError naming the file and the ways to get it when it is nowhere.
    """
    if weights is not None:
        return _existing_file(Path(weights).expanduser())
    found = cached_weights(name, url=url)
    if found is not None:
        return found
    if url is None:
        raise absent(name)
    try:
        return download(url, _hub_file(url), sha256_prefix=hash_in_name(url))
    except PhospheneError as error:
        cause = error.__cause__
        why = f"its download failed: {getattr(cause, 'reason', None) or cause}" if cause else str(error)
        raise absent(name, url, why) from error


def cached_weights(name: str, *, url: str | None = None) -> Path | None:
    """The file with the weights of `name` that is already on this machine, or None."""
    places = [folder / f"{name}{suffix}" for folder in _weights_folder() for suffix in SUFFIXES]
    if url is not None:
        places.append(_hub_file(url))
    return next((place for place in places if place.is_file()), None)


def hash_in_name(url: str) -> str | None:
    """The first hex digits of the SHA-256 that the publisher wrote into the file's name, or None."""
    found = HASH_IN_NAME.search(url)
    return found.group(1) if found else None


def absent(name: str, url: str | None = None, reason: str = "not on this machine") -> WeightsError:
    """The one error for weights that are nowhere: what is missing and every way to get it."""
    file = f"{name}{SUFFIXES[0]}"
    hub = f"; or fetch {url} to {_hub_file(url)}" if url else ""
    return WeightsError(
        f"no weights for {name} ({reason}): give a file (--weights FILE); or put {file} into the folder that "
        f"$PHOSPHENE_WEIGHTS names{hub}; or ask for a network with random weights (--weights random)"
    )


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Name -> tensor on the CPU, from a .safetensors file or a torch checkpoint; no code in the file is run.

    A state inside {"state_dict": ...} or {"model": ...} is unwrapped, and a "module." before every name removed.
    Raises WeightsError, one line that names the file: missing, a folder, truncated, holding code, or not weights.
    """
    path = _existing_file(Path(path))
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_checkpoint(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content or not all(isinstance(t, Tensor) for t in content.values()):
        raise WeightsError(f"{path} holds {_described(content)}, not a state dict (names and tensors)")
    return _without_prefix({str(name): tensor for name, tensor in content.items()})


def read_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape from the header of a .safetensors file, without reading the tensors."""
    path = _existing_file(Path(path))
    with _safetensors_errors(path), safe_open(path, framework="pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no mapping)
    return _without_prefix(shapes)


def load_file(net: nn.Module, path: str | Path, name: str, *, rename: Rename | None = None) -> None:
    """Put the weights of a file into `net`; of a .safetensors file the shapes are checked before anything is read.

    rename: new name of an entry, or None to leave it out. Raises WeightsError as `read_state_dict`, `load_into` do.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        check_shapes(net, _renamed(read_shapes(path), rename), name, str(path))
    load_into(net, _renamed(read_state_dict(path), rename), name, origin=str(path))


def published(
    build: Callable[[], Net], name: str, weights: str | Path | None = None, *, rename: Rename | None = None
) -> tuple[Net, str]:
    """The network that `build` makes, with the weights of a file or random ones ("random"); and where they came from.

    weights: the file; None looks for `name` as `find_weights` does, and downloads nothing. rename: as in `load_file`.
    Raises WeightsError when the file is nowhere or is another network's.
    """
    with same_random_weights():
        net = build()
    if weights == RANDOM:
        return net, RANDOM
    file = find_weights(name, weights)
    load_file(net, file, name, rename=rename)
    return net, f"file:{file.name}"


def load_into(net: nn.Module, state: Mapping[str, Tensor], name: str, *, origin: str = "the weights") -> None:
    """Put `state` into `net`, entry for entry, cast to the network's dtypes.

    Raises WeightsError, before anything is changed, when entries are missing, unexpected, of another shape, or not
    finite. Batch counters that an old file lacks are kept.
    """
    check_shapes(net, {key: tuple(tensor.shape) for key, tensor in state.items()}, name, origin)
    for key, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise WeightsError(f"{origin}: {key} has NaN or infinity in it, so nothing it computes can be trusted")
    full = net.state_dict()  # keeps the format versions that modules ask for (MNASNet), which safetensors cannot hold
    full.update((key, tensor) for key, tensor in state.items() if key in full)
    net.load_state_dict(full)


def check_shapes(net: nn.Module, shapes: Mapping[str, tuple[int, ...]], name: str, origin: str) -> None:
    """Raise WeightsError unless `shapes` (name -> shape) are exactly those of the entries of `net`."""
    own = {key: tuple(value.shape) for key, value in net.state_dict().items() if isinstance(value, Tensor)}
    differing = [key for key in own if key in shapes and shapes[key] != own[key]]
    problems = {
        "missing": [key for key in own if key not in shapes and not key.endswith(UNUSED_IN_EVAL)],
        "unexpected": [key for key in shapes if key not in own and not key.endswith(UNUSED_IN_EVAL)],
        "of another shape": [f"{key} {shapes[key]} instead of {own[key]}" for key in differing],
    }
    said = [f"{len(keys)} {what} ({_some(keys)})" for what, keys in problems.items() if keys]
    if said:
        raise WeightsError(f"{origin} has the weights of another network than {name}: {'; '.join(said)}")


def weights_sha256(net: nn.Module) -> str:
    """SHA-256 (hex) of everything in the state of `net`: name, dtype, shape and bytes of each entry, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        if isinstance(tensor, Tensor):  # a module's extra state may be anything, and is not weights
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def same_random_weights(seed: int = RANDOM_SEED) -> Iterator[None]:
    """What is initialized inside has the same random weights every time; the caller's random state is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the accelerators too
        yield


def _weights_folder() -> list[Path]:
    given = os.environ.get("PHOSPHENE_WEIGHTS")
    if not given:
        return []
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise WeightsError(f"PHOSPHENE_WEIGHTS names {given!r}, which is not a folder")
    return [folder]


def _hub_file(url: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]


def _existing_file(path: Path) -> Path:
    if path.is_file():
        return path
    raise WeightsError(f"{path} is a folder, not a file of weights" if path.is_dir() else f"no weights file {path}")


@contextmanager
def _safetensors_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is truncated or not a safetensors file: {_one_line(error)}") from error


def _read_safetensors(path: Path) -> object:
    with _safetensors_errors(path), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)


def _read_checkpoint(path: Path) -> object:
    with path.open("rb") as file:
        if not file.read(2).startswith(CHECKPOINT_STARTS):
            raise WeightsError(f"{path} is not a file of weights: neither safetensors nor a torch checkpoint")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch thinks of old formats does not concern who asked for a picture
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged zip or pickle raises nearly anything
            raise WeightsError(_refusal(path, error)) from error


def _refusal(path: Path, error: Exception) -> str:
    """One line for what torch says in twenty; code, other objects and garbage differ only in its text."""
    code = CODE_IN_ERROR.search(str(error))
    if code:
        return f"{path} holds Python code or objects ({code.group(1)}), which are never run; get it as safetensors"
    if "TorchScript" in str(error):
        return f"{path} is a TorchScript program, which is never run; get its weights as safetensors"
    if isinstance(error, pickle.UnpicklingError):
        return f"{path} is damaged, or holds something other than weights; it is not read further"
    return f"{path} is truncated or damaged: {(_one_line(error) or type(error).__name__).split('. ')[0]}"


def _without_prefix(entries: dict[str, T]) -> dict[str, T]:
    if all(name.startswith(PARALLEL_PREFIX) for name in entries):
        return {name.removeprefix(PARALLEL_PREFIX): value for name, value in entries.items()}
    return entries


def _renamed(entries: Mapping[str, T], rename: Rename | None) -> dict[str, T]:
    named = ((rename(name) if rename else name, value) for name, value in entries.items())
    return {name: value for name, value in named if name is not None}


def _described(content: object) -> str:
    if isinstance(content, Mapping):
        return f"a mapping of {len(content)} entries ({_some([str(key) for key in content])})"
    return f"one {type(content).__name__}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED_AT_MOST]) + (", ..." if len(names) > NAMED_AT_MOST else "")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
