"""Pictures that a target looks at: each name has one, sizes are brought together, recipes know them by their pixels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from phosphene.errors import RecipeError, UsageError
from phosphene.features.references import ANY, START, aimed, chosen, digest, fitted, names, used
from phosphene.features.render import render
from phosphene.features.rerun import rerun
from phosphene.models import Model
from phosphene.objectives import parse, unaimed
from phosphene.recipe import RenderConfig, RunConfig, TransformConfig

CPU = RunConfig(device="cpu", precision="float32")
STILL = RenderConfig(transform=TransformConfig(transforms="none"))


def photo(seed: int = 0, channels: int = 3) -> torch.Tensor:
    coarse = torch.rand(1, channels, 5, 7, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (40, 48), mode="bilinear")[0]


def test_every_name_gets_its_picture_and_the_nameless_one_serves_the_rest() -> None:
    a, b = photo(1), photo(2)
    found = chosen(["content", "sketch"], {"sketch": a, ANY: b}, None)
    assert found["sketch"] is a
    assert found["content"] is b
    assert chosen([START], {}, a)[START] is a


@pytest.mark.parametrize(
    ("wanted", "given", "said"),
    [
        (["content"], {}, "--reference content=FILE"),
        ([START], {}, "--init FILE"),
        (["content"], {"content": 0, "stile": 0}, "the reference 'stile' is given, but the target looks at content"),
        ([], {ANY: 0}, "a reference is given, but the target looks at none"),
    ],
)
def test_a_name_without_picture_and_a_picture_without_use_are_told(
    wanted: list[str], given: dict[str, int], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(wanted, {name: photo() for name in given}, None)


def test_names_are_those_of_statistics_and_a_part_of_the_targets_uses_a_part_of_the_pictures() -> None:
    target = parse("features.2:1 + content(features.2, of=start) - 0.1*gram(features.2, of=paint)")
    assert names(target) == ["paint", "start"]
    given = {"paint": photo(), ANY: photo()}
    assert set(used(["features.2:1"], given)) == set()
    assert set(used([target], given)) == {"paint", ANY}
    assert set(used(["gram(features.2, of=paint)"], given)) == {"paint"}


def test_a_picture_that_fits_is_its_own_target(tiny_model: Model) -> None:
    x = fitted(photo(), (32, 32), 3, "it")
    target = aimed(parse("content(features.2)").bind(tiny_model), tiny_model, {"content": photo()}, (32, 32))
    assert unaimed(target) == []
    acts = {"input": x[None], **tiny_model.activations(x[None], ["features.2"])}
    assert float(target(acts, torch.zeros(1, dtype=torch.int64))) == 0


@pytest.mark.parametrize("shape", [(1, 8, 8), (5, 8, 8), (8, 8)])
def test_pictures_of_other_channels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="must be"):
        fitted(torch.zeros(shape), (8, 8), 3, "the reference")


def test_inversion_comes_near_the_picture_in_features_and_caricature_beyond_it(tiny_model: Model) -> None:
    given = {"": photo()}
    (before,) = render(
        tiny_model, "content(features.2, form=relative)", steps=1, config=STILL, run=CPU, references=given
    )
    (after,) = render(
        tiny_model, "content(features.2, form=relative)", steps=96, config=STILL, run=CPU, references=given
    )
    assert after.status == "ok"
    assert 0 > after.activation > 0.2 * before.activation
    own = fitted(photo(), tiny_model.spec.size, 3, "it")
    more = aimed(parse("caricature(features.2)").bind(tiny_model), tiny_model, {"content": own}, tiny_model.spec.size)
    acts = {"input": own[None], **tiny_model.activations(own[None], ["features.2"])}
    (drawn,) = render(tiny_model, "caricature(features.2)", steps=64, config=STILL, run=CPU, references=given)
    assert drawn.activation > 1.1 * float(more(acts, torch.zeros(1, dtype=torch.int64)))


def test_a_picture_is_made_again_from_the_pictures_it_looked_at(tiny_model: Model, tmp_path: Path) -> None:
    targets = "caricature(features.2, of=a) + content(features.2, of=b)"
    given = {"a": photo(1), "b": photo(2)}
    (made,) = render(tiny_model, targets, steps=3, run=CPU, references=given, out=tmp_path)
    size = tiny_model.spec.size
    assert made.recipe["inputs"]["references"] == {name: digest(x, size, 3) for name, x in given.items()}
    assert rerun(made.path, model=tiny_model, pictures=[photo(2), photo(1)]).same  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="the picture 'b' that the target looks at"):
        rerun(made.path, model=tiny_model, pictures=[photo(1)])  # type: ignore[arg-type]


def test_the_start_is_a_reference_of_its_own_name_and_recorded_once(tiny_model: Model) -> None:
    (made,) = render(tiny_model, "features.2:1 + content(features.2, of=start)", steps=3, run=CPU, init=photo())
    assert set(made.recipe["inputs"]) == {"init_sha256"}
    assert rerun(made.recipe, model=tiny_model, init=photo()).same
