"""A network with its preprocessing, layer table and labels: what every part of phosphene means by "model".

Pictures come in as (b, c, h, w) in [0, 1], sounds as (b, c, samples) in [-1, 1]; `activations` normalises them as the
weights were trained and reads the layers asked for. The network that was handed in is never changed: where the engine
wants another device, number format or memory layout it works on a copy (`prepared`). A copy may also differ from what
its weights say, in its pooling or in the scale of its channels: it says so in `variant`, which every recipe repeats.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from phosphene.errors import UsageError, WeightsError, unknown
from phosphene.models.gradient import PLAIN, Gradient, Smoothed
from phosphene.models.heard import audio_table
from phosphene.models.labels import find_label
from phosphene.models.redirect import Redirect
from phosphene.models.spec import AudioSpec, InputSpec, Layer, WeightsInfo
from phosphene.models.table import layer_table
from phosphene.models.tap import OUTPUT, activations, has_nonfinite, readings
from phosphene.recipe import to_json

R = TypeVar("R")
SILENCE = 1e-7  # power that is added to that of a clip before it is made loud: wav2vec 2.0's (Baevski et al. 2020)


class Model:
    """A network, how it wants its pictures or sounds, and what is known about it.

    net: any module from (b, c, h, w) or (b, c, samples) to logits (or to anything, when only inner layers are asked
    for). spec: an InputSpec for a network that sees, an AudioSpec for one that hears.
    name: what people call it. source: where its architecture came from, e.g. "torchvision:squeezenet1_1".
    labels: class names in output order. table: its layers, when known; else measured on first use.
    variant: what was changed since the weights were read, in words; () for nothing.
    ahead: what its classes need, where they overlap, to be told from each other: the weight of a class's lead over the
    others beside its logit, where clips are made of it (`features/ahead.py`); 0 for nothing.
    roles: its content layer and its style layers, shallow to deep; None where its layer table tells them (`choice.py`).
    channel_scales: {dotted layer name: (c,)}, by which `activations` multiplies the channels of those layers.
    gradient: what is done to the gradient on its way back; it changes no activation.
    Raises WeightsError when a weight is NaN or infinite.
    """

    def __init__(
        self,
        net: nn.Module,
        spec: InputSpec | AudioSpec,
        *,
        name: str,
        source: str,
        weights: WeightsInfo,
        labels: tuple[str, ...] | None = None,
        table: Mapping[str, Layer] | None = None,
        ahead: float = 0.0,
        roles: tuple[str, tuple[str, ...]] | None = None,
    ) -> None:
        broken = has_nonfinite(net)
        if broken is not None:
            raise WeightsError(f"{name}: the weights hold NaN or infinity in {broken}; use a sound checkpoint")
        self.net, self.spec, self.name, self.source, self.weights, self.labels = (
            net,
            spec,
            name,
            source,
            weights,
            labels,
        )
        self.ahead, self.roles = ahead, roles
        self._table = dict(table) if table is not None else None
        scale, shift = affine(spec)
        self._scale, self._shift = scale, shift
        self.variant: tuple[str, ...] = ()
        self.channel_scales: Mapping[str, Tensor] = {}
        self.gradient = PLAIN
        self._overwritten: set[str] = set()  # layers of which later ones change the values in place
        self.dtype = torch.float32
        self.memory_format = torch.contiguous_format

    def __repr__(self) -> str:
        return f"Model({self.name!r}, {len(self.layers)} layers, {self.weights.source})"

    @property
    def layers(self) -> dict[str, Layer]:
        """Every readable layer by its dotted name, in the order of the forward pass; the last is "output"."""
        if self._table is None:
            hears = isinstance(self.spec, AudioSpec)
            self._table = audio_table(self.net, self.audio_spec) if hears else layer_table(self.net, self.picture_spec)
        return self._table

    @property
    def picture_spec(self) -> InputSpec:
        """How it wants its pictures; UsageError for a network that hears."""
        if isinstance(self.spec, InputSpec):
            return self.spec
        raise UsageError(
            f"{self.name} hears sounds and sees no pictures; use phosphene audio render "
            f"{self.source.removeprefix('phosphene:')} TARGET"
        )

    def check_color(self, what: str) -> None:
        """Raise UsageError unless it sees pictures of three channels, as `what` ("a dream") needs them."""
        channels = self.picture_spec.channels
        if channels != 3:
            raise UsageError(f"{what} is in color, and {self.name} takes {channels} channels")

    @property
    def audio_spec(self) -> AudioSpec:
        """How it wants its sounds; UsageError for a network that sees."""
        if isinstance(self.spec, AudioSpec):
            return self.spec
        raise UsageError(f"{self.name} sees pictures and hears no sounds; use phosphene render {self.name} TARGET")

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return next((p.device for p in self.net.parameters()), torch.device("cpu"))

    def find_layer(self, name: str) -> Layer:
        """A layer by dotted name or alias; UnknownNameError with the nearest names otherwise."""
        layer = self.layers.get(name)
        if layer is None:
            layer = next((layer for layer in self.layers.values() if name in layer.aliases), None)
        if layer is None:
            aliases = [alias for layer in self.layers.values() for alias in layer.aliases]
            raise unknown("layer", name, f"{self.name} (see: phosphene layers {self.name})", [*self.layers, *aliases])
        return layer

    def find_class(self, name: str | int) -> int:
        """A class number from its name or number; UnknownNameError with suggestions otherwise."""
        return find_label(self.labels, name, classes=self.layers[OUTPUT].channels)

    def label(self, index: int) -> str:
        """The name of a class; its number where the model has no labels."""
        return self.labels[index] if self.labels is not None and index < len(self.labels) else str(index)

    def normalize(self, x: Tensor) -> Tensor:
        """Pictures in [0, 1] or sounds in [-1, 1] -> what the network was trained on, in float32."""
        scale, shift = self._affine(x)
        return torch.addcmul(shift, self._leveled(x), scale)

    def _affine(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The scale and shift of `normalize` on the device of x."""
        if x.shape[1] != self.spec.channels:
            raise UsageError(f"{self.name} takes {self.spec.channels} channels, got an input of {x.shape[1]}")
        if self._scale.device != x.device:
            self._scale, self._shift = self._scale.to(x.device), self._shift.to(x.device)
        return self._scale, self._shift

    def activations(
        self, pictures: Tensor, layers: Collection[str], *, redirect: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Activations {layer: (b, c, *space)} of pictures (b, c, h, w) in [0, 1], on their device; or of sounds
        (b, c, samples) in [-1, 1].

        Runs no further than the last layer needed. redirect: (b,) bool, the rows whose dead rectifiers let gradient
        through. Names are given back as they were asked for, aliases too; layers in `channel_scales` come scaled.
        """
        found = {name: self.find_layer(name) for name in layers}
        x = self._entering(pictures)
        smoothed = Smoothed(self.gradient) if self.gradient != PLAIN else nullcontext()
        with smoothed, Redirect(redirect) if redirect is not None else nullcontext():
            values = activations(self.net, x, found.values(), overwritten=self._overwritten)
        return {name: self._scaled(values[layer.name], layer.name) for name, layer in found.items()}

    def readings(self, pictures: Tensor, layers: Collection[str], read: Callable[[Layer, Tensor], R]) -> dict[str, R]:
        """What `read` makes of the activations (b, c, *space) of each layer, {its dotted name: it}, as they pass by.

        Nothing else is kept of them, so that many large layers cost no memory. `read` must not keep the tensor.
        """

        def scaled(layer: Layer, value: Tensor, last: bool) -> R:
            return read(layer, self._scaled(value, layer.name))

        return readings(self.net, self._entering(pictures), [self.find_layer(name) for name in layers], scaled)

    def _entering(self, pictures: Tensor) -> Tensor:
        """Pictures, or sounds, as they enter the network: normalised, in its number format and memory layout."""
        layout = self.memory_format if pictures.dim() == 4 else torch.contiguous_format
        seen = self._leveled(self.gradient.at_picture(pictures))
        x: Tensor = Normalize.apply(seen, *self._affine(pictures), self.dtype, layout)
        return x

    def _leveled(self, x: Tensor) -> Tensor:
        """Each clip at mean 0 and deviation 1, where the network wants that; everything else as it is."""
        if not isinstance(self.spec, AudioSpec) or self.spec.normalize == "none":
            return x
        centered = x - x.mean((1, 2), keepdim=True)
        return centered / (centered.square().mean((1, 2), keepdim=True) + SILENCE).sqrt()

    def _scaled(self, value: Tensor, layer: str) -> Tensor:
        """The activations (b, c, *space) of a layer times the scales of its channels, if it has any."""
        scale = self.channel_scales.get(layer)
        return value if scale is None else value * scale.to(value.device).view(-1, *[1] * (value.dim() - 2))

    def prepared(
        self,
        device: torch.device | str | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> Model:
        """A private copy of the model on a device, in a number format and a memory layout; frozen, in eval mode.

        Falls back to the network itself, unchanged, when it cannot be copied.
        """
        try:
            net = copy.deepcopy(self.net)
        except (RuntimeError, TypeError, ValueError, NotImplementedError):
            return self
        net.eval().requires_grad_(False)
        net.to(device=device, dtype=dtype)
        net.to(memory_format=memory_format)
        twin = copy.copy(self)
        twin.net, twin.dtype, twin.memory_format, twin._table = net, dtype, memory_format, self.layers
        twin.channel_scales = {name: scale.to(device) for name, scale in self.channel_scales.items()}
        return twin

    def varied(
        self,
        *words: str,
        net: nn.Module | None = None,
        table: Mapping[str, Layer] | None = None,
        channel_scales: Mapping[str, Tensor] | None = None,
    ) -> Model:
        """The same model with the variant `words`, and with another network, table or scales where they are given."""
        twin = copy.copy(self)
        twin.variant, twin._table = words, dict(self.layers if table is None else table)
        twin.net = self.net if net is None else net
        twin.channel_scales = self.channel_scales if channel_scales is None else dict(channel_scales)
        return twin

    def with_gradient(self, gradient: Gradient) -> Model:
        """The same model, the same network, with another way back: every activation is as it was (`gradient.py`)."""
        words = [word for word in self.variant if word not in self.gradient.words]
        twin = self.varied(*words, *gradient.words)
        twin.gradient = gradient
        return twin


class Normalize(torch.autograd.Function):
    """x * scale + shift in a number format and a memory layout; the gradient comes back in those of x.

    One node, because autograd's own leaves the gradient in the network's layout, where each later pass over it (and
    most of all a resampling's) is half as fast.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype, layout: torch.memory_format
    ) -> Tensor:
        ctx.save_for_backward(scale)
        ctx.dtype = x.dtype
        return torch.addcmul(shift, x, scale).to(dtype).contiguous(memory_format=layout)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (scale,) = ctx.saved_tensors
        plain = gradient.contiguous().to(ctx.dtype)
        return (plain * scale if plain is gradient else plain.mul_(scale)), None, None, None, None


def affine(spec: InputSpec | AudioSpec) -> tuple[Tensor, Tensor]:
    """(scale, shift), each (c, 1, 1), that take pictures in [0, 1] to the network's own range: x * scale + shift.

    Sounds, (c, 1), are in it already.
    """
    if isinstance(spec, AudioSpec):
        return torch.ones(spec.channels, 1), torch.zeros(spec.channels, 1)
    low, high = spec.value_range
    mean, std = torch.tensor(spec.mean)[:, None, None], torch.tensor(spec.std)[:, None, None]
    return (high - low) / std, (low - mean) / std


def describe(model: Model) -> dict[str, Any]:
    """The model's part of a recipe; "variant" is there only where the network is not what its weights alone make."""
    described = {
        "name": model.name,
        "source": model.source,
        "weights": asdict(model.weights),
        "input": to_json(model.spec),
    }
    return {**described, "variant": list(model.variant)} if model.variant else described
