"""Every family of torchvision's classifiers goes through the engine: the score rises, the network stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from phosphene.features.render import Progress, Rendering
from phosphene.models import load
from phosphene.models.weights import weights_sha256
from phosphene.recipe import RenderConfig, RunConfig, TransformConfig

# network, a layer in its middle, side in pixels: small, and what leaves that layer some space
FAMILIES = [
    ("alexnet", "features.6", 64),
    ("vgg19", "features.19", 64),
    ("squeezenet1_0", "features.7", 64),
    ("resnet50", "layer2.1.conv2", 64),
    ("googlenet", "inception4a", 64),
    ("inception_v3", "Mixed_5c", 80),
    ("densenet121", "features.denseblock2.denselayer4", 64),
    ("mobilenet_v3_small", "features.6", 64),
    ("efficientnet_b0", "features.4.0", 64),
    ("convnext_tiny", "features.3.1", 64),
    ("regnet_y_400mf", "trunk_output.block2", 64),
    ("shufflenet_v2_x1_0", "stage3.1", 64),
    ("mnasnet0_5", "layers.10", 64),
    ("vit_b_16", "encoder.layers.encoder_layer_3", 224),
    ("swin_t", "features.3.0", 64),
    ("maxvit_t", "blocks.1.layers.0", 224),
]
PLAIN = TransformConfig(transforms="none")  # one view: each step's score is then the picture's own


def state(net: nn.Module) -> list[Any]:
    """Everything of a network that a careless tool changes."""
    flags = [(m.training, dict(m._forward_hooks), dict(m._forward_pre_hooks)) for m in net.modules()]
    return [weights_sha256(net), flags, [(p.requires_grad, p.grad) for p in net.parameters()]]


@pytest.mark.parametrize(("name", "layer", "side"), FAMILIES, ids=[name for name, _, _ in FAMILIES])
def test_every_family_climbs_and_is_left_as_it_is(name: str, layer: str, side: int) -> None:
    model = load(name, weights="random")
    before = state(model.net)
    config = RenderConfig(size=side, steps=3, transform=PLAIN)
    rendering = Rendering(model, f"{layer}:3", config, RunConfig(device="cpu", precision="float32"))
    scores = [float(event.step.scores[0]) for event in rendering if isinstance(event, Progress)]
    assert scores[0] < scores[1] < scores[2]
    (picture,) = rendering.sheet()
    assert picture.size == (side, side)
    assert picture.activation > scores[0]
    assert state(model.net) == before
