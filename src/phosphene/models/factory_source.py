"""A network of the user's own: `package.module:factory`, imported and called.

What the factory returns says what the network takes: a `Model`, `(net, InputSpec)`, or a module with an attribute
`input_spec`; for a network that hears an `AudioSpec` in its place. The current folder is importable while it runs, and
random initialization inside it is the same every time. Whatever goes wrong in that code is quoted in one line, with the
exception itself as the cause.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from phosphene.errors import PhospheneError, UsageError, unknown
from phosphene.models.model import Model
from phosphene.models.spec import AudioSpec, InputSpec
from phosphene.models.weights import same_random_weights

Spec = InputSpec | AudioSpec
Made = Model | nn.Module | tuple[nn.Module, Spec]


def call_factory(name: str) -> Made:
    """What `package.module:factory` returns; a module or Model under that name is taken as it is.

    Raises UsageError when it cannot be imported or returns something else, UnknownNameError when there is no such name
    in the module, PhospheneError when the factory itself fails.
    """
    with _current_folder_importable():
        made: Made = _call(name)
    net = made[0] if isinstance(made, tuple) and len(made) == 2 else made
    if not isinstance(net, nn.Module | Model):
        raise UsageError(
            f"{name} must return a torch.nn.Module, (Module, InputSpec) or a Model, not {type(made).__name__}"
        )
    return made


def net_and_spec(made: nn.Module | tuple[nn.Module, Spec], name: str, spec: Spec | None) -> tuple[nn.Module, Spec]:
    """The network, and its input: `spec` if given, else what came with it. Raises UsageError when nothing says."""
    net, given = made if isinstance(made, tuple) else (made, None)
    own = spec or given or getattr(net, "input_spec", None)
    if not isinstance(own, InputSpec | AudioSpec):
        raise UsageError(
            f"nothing says what {name} takes: return (net, InputSpec(channels=..., size=..., mean=..., std=...)), "
            "(net, AudioSpec(rate=..., samples=...)) for one that hears, or set net.input_spec, or give the spec"
        )
    return net, own


def _call(name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"a network of your own is written package.module:factory, got {name!r}")
    try:
        with same_random_weights():
            module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise UsageError(f"cannot import {module_name!r} for model {name!r}: {_quoted(error)}") from error
    if not hasattr(module, attribute):
        raise unknown("factory", attribute, module_name, [key for key in vars(module) if not key.startswith("_")])
    factory = getattr(module, attribute)
    if isinstance(factory, nn.Module | Model):
        return factory
    try:
        with same_random_weights():  # anew, since the import above happens once only
            return factory()
    except (Exception, SystemExit) as error:
        raise PhospheneError(f"the factory {name} failed: {_quoted(error)}") from error


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    here = os.getcwd()
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def _quoted(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
