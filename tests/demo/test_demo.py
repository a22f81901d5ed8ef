"""The demo: pieces for any network, true sentences, and a page that is whole whenever it ends."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch
from torch import Tensor, nn

from phosphene.deepdream.api import Dream
from phosphene.demo import PIECES, Demo, Piece, PieceBegun, PieceDone, Stage, Take
from phosphene.demo.choice import LARGEST_SIDE, canvas, class_targets, lacks_style, middle_layer, pick_classes, sides
from phosphene.demo.piece import Work, short
from phosphene.demo.pieces import classes, reconstruct, silent, sound, style
from phosphene.demo.pieces.classes import percent
from phosphene.demo.pieces.logit_or_probability import Answer, finding
from phosphene.errors import UsageError
from phosphene.features.render import Notice, Progress
from phosphene.media import read_picture, to_tensor
from phosphene.models import InputSpec, Model, from_module
from phosphene.recipe import RunConfig

CPU = RunConfig(device="cpu", precision="float32")
SPEC = InputSpec(size=(16, 16), mean=(0.5,), std=(0.25,))
STEPS = 3


@pytest.fixture(autouse=True)
def short_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounds in few steps: the network that hears is large, and nothing here asks how its clips sound."""
    monkeypatch.setattr(sound, "STEPS", STEPS)


def by_name(name: str) -> Piece:
    return next(piece for piece in PIECES if piece.name == name)


def small(name: str, target: str = "features.0:1") -> Piece:
    """A piece of one target in a few steps."""

    def make(stage: Stage) -> Work:
        take = Take((target,), STEPS)
        sheet = yield from stage.render(take)
        figures = tuple(stage.figure(picture, (picture.target,)) for picture in sheet)
        return piece.section(figures=figures, commands=(stage.command(take),))

    piece = Piece(name, name.title(), STEPS, make)
    return piece


def linked(page: Path) -> list[Path]:
    """Every file that a page shows or links to."""
    links = re.findall(r'(?:src|srcset|href)="([^"]+)"', page.read_text(encoding="utf-8"))
    return [page.parent / unquote(link) for link in links if not link.startswith("#")]


def done(demo: Demo) -> dict[str, PieceDone]:
    return {event.piece.name: event for event in demo if isinstance(event, PieceDone)}


def test_every_piece_stands_on_the_page_and_every_picture_exists(tiny_model: Model, tmp_path: Path) -> None:
    demo = Demo(tiny_model, tmp_path / "demo", run=CPU)
    pieces = done(demo)
    text = demo.page.read_text(encoding="utf-8")
    assert list(pieces) == [piece.name for piece in PIECES]
    assert all(f'<section id="{name}"' in text for name in pieces)
    assert "Still at work" not in text
    files = linked(demo.page)
    assert all(file.is_file() for file in files)
    assert len(files) >= 8 + 12 + 4 + 7 + 3 + 4
    for file in files:
        if file.suffix == ".png":
            read_picture(file)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_figures_say_what_they_show_and_how_large_it_is(tiny_model: Model, tmp_path: Path) -> None:
    (event,) = done(Demo(tiny_model, tmp_path, run=CPU, pieces=[by_name("animation")])).values()
    film, *stills = event.section.figures
    assert (film.kind, film.still) == ("animation", stills[-1].file)
    assert [still.caption[0] for still in stills] == ["step 1", "step 8", "step 32", "step 96", "step 192"]
    assert {(figure.width, figure.height) for figure in event.section.figures} == {(32, 32)}
    assert all("logit" in figure.alt for figure in event.section.figures)


def test_progress_runs_once_through_the_whole(tiny_model: Model, tmp_path: Path) -> None:
    pieces = [small("one"), small("two", "features.0:0..1")]  # the second takes more than it said
    events = list(Demo(tiny_model, tmp_path, run=CPU, pieces=pieces))
    steps = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in steps] == sorted(event.done for event in steps)
    assert {event.total for event in steps} == {2 * STEPS}
    assert steps[-1].done == 2 * STEPS
    begun = [(event.piece.name, event.number, event.of) for event in events if isinstance(event, PieceBegun)]
    assert begun == [("one", 1, 2), ("two", 2, 2)]


def test_stopped_it_leaves_a_page_of_what_is_done(tiny_model: Model, tmp_path: Path) -> None:
    demo = Demo(tiny_model, tmp_path, run=CPU, pieces=[small("one"), small("two"), small("three")])
    finished = []
    for event in demo:
        if isinstance(event, PieceDone):
            finished.append(event.piece.name)
        if isinstance(event, Progress) and event.done > STEPS:
            demo.stop()
    assert finished == ["one"]
    text = demo.page.read_text(encoding="utf-8")
    assert 'id="one"' in text
    assert 'id="two"' not in text
    assert "stopped: 1 of its 3 parts" in text
    assert all(file.is_file() for file in linked(demo.page))
    assert not list(tmp_path.rglob(".phosphene"))
    assert not (tmp_path / "three").exists()


def test_after_every_piece_the_page_is_whole(tiny_model: Model, tmp_path: Path) -> None:
    demo = Demo(tiny_model, tmp_path, run=CPU, pieces=[small("one"), small("two")])
    for event in demo:
        if isinstance(event, PieceDone):
            assert f'id="{event.piece.name}"' in event.page.read_text(encoding="utf-8")
            assert ("Still at work" in event.page.read_text(encoding="utf-8")) == (event.piece.name == "one")


def test_a_piece_that_fails_says_why_and_the_others_go_on(tiny_model: Model, tmp_path: Path) -> None:
    events = list(Demo(tiny_model, tmp_path, run=CPU, pieces=[small("bad", "nowhere:1"), small("good")]))
    sections = {event.piece.name: event.section for event in events if isinstance(event, PieceDone)}
    assert "no layer 'nowhere'" in sections["bad"].note
    assert sections["good"].figures
    assert any("nowhere" in event.text for event in events if isinstance(event, Notice))


def test_a_second_demo_takes_the_place_of_the_first(tiny_model: Model, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    def picture(seed: int) -> bytes:
        (event,) = done(Demo(tiny_model, tmp_path, run=CPU, seed=seed, pieces=[small("one")])).values()
        assert f"--seed {seed} " in event.section.commands[0]
        return (tmp_path / event.section.figures[0].file).read_bytes()

    first = picture(0)
    files = set(tmp_path.rglob("*"))
    assert picture(1) != first
    assert set(tmp_path.rglob("*")) == files
    assert (tmp_path / "mine.txt").read_text() == "mine"


class Maps(nn.Module):
    """A network without logits: maps in, maps out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 14, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def test_a_network_without_classes_shows_what_it_has(tmp_path: Path) -> None:
    pieces = done(Demo(from_module(Maps().eval(), SPEC), tmp_path, run=CPU))
    assert "does not answer with classes" in pieces["classes"].section.note
    assert "does not answer with classes" in pieces["logit-or-probability"].section.note
    assert "no rectifier" in pieces["silent"].section.note
    assert len(pieces["layer"].section.figures) == 12
    assert pieces["animation"].pictures[0].target == "conv:0"


def test_a_network_of_vectors_has_notes_and_no_figures(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 1))
    pieces = done(Demo(from_module(net.eval(), SPEC), tmp_path, run=CPU))
    del pieces["sound"]  # of a network that hears
    assert all(event.section.note and not event.section.figures for event in pieces.values())


class Shy(nn.Module):
    """Unit 0 answers to gray; unit 1 is silent below a brightness that no start has; unit 2 is dead for good."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.relu = nn.ReLU()
        self.conv.weight.data.fill_(1.0)
        self.conv.bias.data = torch.tensor([1.0, -2.0, -1e6])

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x)).mean((2, 3))


def test_silent_units_are_found_and_woken_by_redirection(tmp_path: Path) -> None:
    (event,) = done(Demo(from_module(Shy().eval(), SPEC), tmp_path, run=CPU, pieces=[by_name("silent")])).values()
    assert [(picture.unit, picture.status) for picture in event.pictures] == [
        (1, "degenerate"),
        (2, "degenerate"),
        (1, "ok"),
        (2, "degenerate"),
    ]
    assert "2 of the 3 units of `relu`" in event.section.text[0]
    assert "0 of 2 without redirection, 1 of 2 with it" in event.section.text[1]
    assert [figure.caption[0] for figure in event.section.figures][:2] == [
        "unit 1, redirect off",
        "unit 1, redirect on",
    ]
    assert ["--no-redirect" in command for command in event.section.commands] == [True, False]


def test_where_no_unit_is_silent_it_says_so(tmp_path: Path) -> None:
    net = Shy().eval()
    net.conv.bias.data.fill_(1.0)
    (event,) = done(Demo(from_module(net, SPEC), tmp_path, run=CPU, pieces=[silent.PIECE])).values()
    assert "No unit" in event.section.note
    assert event.pictures == ()


def test_a_finding_is_true_to_its_numbers() -> None:
    text = finding("star", Answer(12.0, -1.0, 0.9), Answer(9.0, -5.0, 0.99))
    assert "its own logit ends 3 lower" in text
    assert "the other logits 4 lower" in text
    assert "own logit ends 2 higher" in finding("star", Answer(1.0, 0.0, 0.5), Answer(3.0, 0.5, 0.5))


@pytest.mark.parametrize(
    ("probability", "text"), [(1.0, "100%"), (0.9999, ">99.9%"), (0.5, "50.0%"), (0.0, "0%"), (1e-6, "<0.1%")]
)
def test_a_probability_is_not_rounded_to_certainty(probability: float, text: str) -> None:
    assert percent(probability) == text


@pytest.mark.parametrize(("value", "text"), [(1883.2, "1883"), (-131.4, "-131"), (0.01234, "0.0123"), (12.34, "12.3")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text


def labeled(labels: tuple[str, ...]) -> Model:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, len(labels)))
    return from_module(net.eval(), SPEC, labels=labels)


def test_wanted_classes_come_first_and_the_rest_is_spread() -> None:
    model = labeled((*"abcdefgh", "star", "star", "red"))
    assert pick_classes(model, 3, ("red", "star", "b")) == [10, 1, 5]
    assert pick_classes(model, 2) == [2, 8]
    assert pick_classes(labeled(("x", "y")), 8) == [0, 1]
    assert class_targets(model, [10, 8]) == ("logit:red", "logit:8")  # two classes are called star


def test_the_wanted_classes_are_all_different() -> None:
    assert len(set(classes.WANTED)) == classes.COUNT


def test_the_middle_layer_has_maps_and_enough_units(tiny_model: Model) -> None:
    layer = middle_layer(tiny_model)
    assert layer is not None
    assert (layer.name, layer.kind) == ("fork.conv", "Conv2d")
    assert layer.channels == 16


def test_a_convolution_that_is_far_from_the_middle_is_not_it() -> None:
    trunk = [nn.Conv2d(3, 12, 3, padding=1), *[nn.BatchNorm2d(12) for _ in range(9)]]
    layer = middle_layer(from_module(nn.Sequential(*trunk).eval(), SPEC))
    assert layer is not None
    assert layer.kind == "BatchNorm2d"


@pytest.mark.parametrize(
    ("build", "size", "expected"),
    [
        (lambda: nn.Conv2d(3, 4, 3), (24, 40), (24, 40)),
        (lambda: nn.Conv2d(3, 4, 3), (224, 224), (LARGEST_SIDE, LARGEST_SIDE)),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 160 * 160, 4)), (160, 160), (160, 160)),
    ],
)
def test_pictures_are_small_where_the_network_allows(
    build: Callable[[], nn.Module], size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert canvas(from_module(build().eval(), InputSpec(size=size))) == expected


def test_a_painting_stands_beside_what_it_is_made_from(tiny_model: Model, tmp_path: Path) -> None:
    (event,) = done(Demo(tiny_model, tmp_path, size=32, run=CPU, pieces=[style.PIECE])).values()
    content, manner, painting = (tmp_path / figure.file for figure in event.section.figures)
    (command,) = event.section.commands
    words = shlex.split(command)
    assert words[:4] == ["phosphene", "style", content.as_posix(), manner.as_posix()]
    assert words[-2:] == ["--out", painting.as_posix()]
    pixels = [to_tensor(read_picture(file)) for file in (content, manner, painting)]
    assert [tuple(picture.shape) for picture in pixels] == [(3, 48, 48)] * 3
    away = [float((pixels[2] - other).abs().mean()) for other in pixels[:2]]
    assert min(away) > 0.01
    assert event.section.figures[2].caption[1].endswith("of the distance to the style is gone")


def test_reconstructions_are_rows_by_depth_led_by_the_original(tiny_model: Model, tmp_path: Path) -> None:
    (event,) = done(Demo(tiny_model, tmp_path, size=32, run=CPU, pieces=[reconstruct.PIECE])).values()
    first = [figure.caption[0].split()[0] for figure in event.section.figures]
    depths = len(event.pictures) // 2
    assert first == ["original", *["content"] * depths, "original", *["style"] * depths]
    assert event.section.columns == depths + 1
    assert (tmp_path / "reconstruct" / "sheet.png").is_file()


@pytest.mark.parametrize("piece", [style.PIECE, reconstruct.PIECE])
def test_stopped_within_a_painting_it_is_left_out(tiny_model: Model, tmp_path: Path, piece: Piece) -> None:
    demo = Demo(tiny_model, tmp_path, size=32, run=CPU, pieces=[piece])
    for event in demo:
        assert not isinstance(event, PieceDone)
        if isinstance(event, Progress):
            demo.stop()
    assert "stopped: 0 of its 1 parts" in demo.page.read_text(encoding="utf-8")


def test_the_progress_of_a_painting_ends_where_it_said(tiny_model: Model, tmp_path: Path) -> None:
    for piece in (style.PIECE, reconstruct.PIECE):
        steps = [e for e in Demo(tiny_model, tmp_path, size=32, run=CPU, pieces=[piece]) if isinstance(e, Progress)]
        assert [step.done for step in steps] == sorted(step.done for step in steps)
        assert steps[-1].done == steps[-1].total == piece.steps


def test_four_of_one_class_differ_and_one_class_comes_in_three_signals(tiny_model: Model, tmp_path: Path) -> None:
    pieces = done(Demo(tiny_model, tmp_path, run=CPU, pieces=[by_name("diversity"), by_name("signals")]))
    facets = pieces["diversity"]
    assert len({picture.recipe["result"]["pixels_sha256"] for picture in facets.pictures}) == 4
    assert "--diversity 4 --diversity-weight 0.1" in facets.section.commands[0]
    written = [picture.recipe["method"]["signal"]["signal"] for picture in pieces["signals"].pictures]
    assert written == ["fourier", "maco", "cppn"]
    assert ["--signal maco" in command for command in pieces["signals"].section.commands] == [False, True, False]


def test_a_dream_is_square_and_stronger_than_the_noise(tiny_model: Model, tmp_path: Path) -> None:
    (event,) = done(Demo(tiny_model, tmp_path, run=CPU, pieces=[by_name("dream")])).values()
    (dream,) = event.pictures
    assert isinstance(dream, Dream)
    assert dream.size[0] == dream.size[1]
    assert dream.after > dream.before
    assert event.section.figures[0].file == "dream/noise.png"


def test_what_a_network_lacks_for_style_is_said() -> None:
    gray = from_module(nn.Conv2d(1, 4, 3).eval(), InputSpec(channels=1, size=(16, 16), mean=(0.5,), std=(0.25,)))
    flat = from_module(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4)).eval(), SPEC)
    assert "takes 1 channels" in lacks_style(gray)
    assert "no layer with space" in lacks_style(flat)
    assert lacks_style(from_module(Maps().eval(), SPEC)) == ""


class Fixed(nn.Module):
    """A network with maps that takes nothing but its own input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(4, 160, 160))

    def forward(self, x: Tensor) -> Tensor:
        return self.again(torch.relu(self.conv(x)) + self.place)


def test_pictures_for_style_are_in_proportion_and_what_the_network_takes() -> None:
    free = from_module(Maps().eval(), SPEC)
    assert sides(free, (128, 128), 192) == (192, True)
    assert sides(free, (512, 300), 192) == (192, True)
    assert sides(free, (20, 32), 192) == (48, True)
    assert sides(free, (4, 4), 96) == (16, True)
    fixed = from_module(Fixed().eval(), InputSpec(size=(160, 160)))
    assert sides(fixed, canvas(fixed), 192) == (160, False)


def test_a_device_that_is_not_there_is_refused_before_any_work(tiny_model: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="device"):
        Demo(tiny_model, tmp_path / "demo", run=RunConfig(device="cuda:99"))
    assert not list(tmp_path.iterdir())


def test_sounds_are_on_the_page_where_a_network_hears_and_otherwise_how_to_get_one(
    tiny_model: Model, tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    monkeypatch.setenv("PHOSPHENE_WEIGHTS", str(weights))
    (event,) = done(Demo(tiny_model, tmp_path / "none", run=CPU, pieces=[by_name("sound")])).values()
    assert "No network that hears" in event.section.note
    assert not event.section.figures
    (weights / "crepe_tiny.safetensors").symlink_to(shared / "models" / "crepe_tiny.safetensors")
    (event,) = done(Demo(tiny_model, tmp_path / "some", run=CPU, pieces=[by_name("sound")])).values()
    assert len(event.section.figures) == 2
    for figure in event.section.figures:
        assert (tmp_path / "some" / figure.file).is_file()
        assert (tmp_path / "some" / figure.sound).is_file()
    assert figure.sound in event.page.read_text()
    assert "audio render crepe_tiny logit:168 logit:228" in event.section.commands[0]
