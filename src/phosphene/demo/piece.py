"""What a piece of the demo is, and what it works with.

A piece is one subject of the page: it makes pictures and gives the section that shows them. It asks its `Stage` for
pictures by `Take`s. A take is a `phosphene render` command as data, so that the pictures on the page and the command
below them cannot disagree. `painted.py` has the takes of other commands.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from phosphene.cli.render import ANIMATION_FRAMES, Stoppable
from phosphene.deepdream.api import Dream
from phosphene.engine import Step
from phosphene.features.clip import Clip
from phosphene.features.diversity import diversify
from phosphene.features.picture import Picture, Sheet
from phosphene.features.render import Event, Progress, Rendering, quietly
from phosphene.features.store import Store
from phosphene.files import atomic_write
from phosphene.media import png_bytes
from phosphene.models import Model
from phosphene.recipe import DiversityConfig, OptimizerConfig, RenderConfig, RunConfig, SignalConfig
from phosphene.reports import Figure, Section
from phosphene.style.painting import Painting
from phosphene.style.panel import Panel

Made: TypeAlias = Picture | Painting | Panel | Dream | Clip  # what a piece made, with its path and its recipe


@dataclass(frozen=True)
class Take:
    """One rendering of a piece.

    targets: as text. part: folder inside the piece's own, "" for that itself. snapshots: steps whose pictures are
    kept. animate: whether films are made. redirect: as in `OptimizerConfig`. signal: what is optimised. diversity,
    diversity_weight: as in `DiversityConfig`.
    """

    targets: tuple[str, ...]
    steps: int
    part: str = ""
    snapshots: tuple[int, ...] = ()
    animate: bool = False
    redirect: bool = True
    signal: SignalConfig = SignalConfig()
    diversity: int = DiversityConfig.diversity  # type: ignore[assignment]
    diversity_weight: float = DiversityConfig.diversity_weight  # type: ignore[assignment]


class Stopped(Exception):
    """The demo was stopped while a piece was at work."""


class Stage:
    """Where a piece works: a network, a folder, and the settings that all its takes share.

    network: how the command line opens the model: its name and the flags that belong to it. page: the folder of the
    page; pictures go to PAGE/NAME. size: (height, width) of every picture.
    """

    def __init__(
        self,
        model: Model,
        network: tuple[str, ...],
        page: Path,
        name: str,
        *,
        size: tuple[int, int],
        seed: int,
        run: RunConfig,
    ) -> None:
        self.model, self.network, self.page, self.folder = model, network, page, page / name
        self.size, self.seed, self.run = size, seed, run
        self.pictures: list[Made] = []
        self._done = 0  # picture-steps of the takes that are finished
        self._work: Stoppable | None = None
        self._stopping = False

    def stop(self) -> None:
        """End after the current step; the take in work raises Stopped."""
        self._stopping = True
        if self._work is not None:
            self._work.stop()

    def begin(self, work: Stoppable) -> None:
        """Have `stop` end this work from now on. Raises Stopped when it was called before."""
        if self._stopping:
            raise Stopped
        self._work = work

    def progress(self, share: float, cost: int, step: Step) -> Progress:
        """That a step of a take was done, on top of the earlier takes. cost: of the take, in picture-steps."""
        return Progress(self._done + round(share * cost), self._done + cost, 0, 1, step)

    def finish(self, cost: int, pictures: Sequence[Made]) -> None:
        """Count a take as done, with its pictures."""
        self._done += cost
        self.pictures += pictures

    def render(self, take: Take) -> Generator[Event, None, Sheet]:
        """Carry out a take; yields its events, its progress on top of the earlier takes', and returns its pictures."""
        store = Store(self.folder / take.part)
        frames = ANIMATION_FRAMES if take.animate else 0
        if self._stopping:
            raise Stopped
        wanted = DiversityConfig(take.diversity, take.diversity_weight)
        make = quietly(self.model, self.run, None)
        rendering = Rendering(
            self.model,
            diversify(self.model, take.targets, wanted, self.config(take), make),
            self.config(take),
            self.run,
            snapshots=take.snapshots,
            frames=frames,
            store=store,
        )
        self.begin(rendering)
        for event in rendering:
            yield replace(event, done=self._done + event.done) if isinstance(event, Progress) else event
        if not rendering.complete:
            store.clear()  # a demo starts anew
            raise Stopped
        sheet = rendering.sheet()
        sheet.save(store.folder / "sheet.png")
        self.finish(rendering.total, list(sheet))
        return sheet

    def config(self, take: Take) -> RenderConfig:
        """The settings of a take."""
        ascent = OptimizerConfig(redirect=take.redirect)
        return RenderConfig(self.size, take.steps, self.seed, take.signal, optimizer=ascent)

    def command(self, take: Take) -> str:
        """The command line that makes the pictures of a take, for a POSIX shell."""
        words = ["phosphene", "render", self.network[0], *take.targets, *self.network[1:]]
        words += ["--size", "x".join(map(str, self.size)) if self.size[0] != self.size[1] else str(self.size[0])]
        words += ["--steps", str(take.steps), "--seed", str(self.seed)]
        words += [] if take.redirect else ["--no-redirect"]
        words += ["--signal", take.signal.signal] if take.signal.signal != SignalConfig.signal else []
        words += ["--transparency"] if take.signal.transparency else []
        words += ["--diversity", str(take.diversity)] if take.diversity > 1 else []
        usual = take.diversity_weight == DiversityConfig.diversity_weight
        words += [] if usual else ["--diversity-weight", f"{take.diversity_weight:g}"]
        words += ["--snapshots", ",".join(map(str, take.snapshots))] if take.snapshots else []
        words += ["--animate"] if take.animate else []
        return shlex.join([*words, *self.machine, "--out", (self.folder / take.part).as_posix()])

    @property
    def machine(self) -> list[str]:
        """The flags of every command that say where it computes."""
        return [] if self.run.device == "auto" else ["--device", self.run.device]

    def put(self, name: str, picture: Image.Image) -> Path:
        """Write a picture that others are made from into the piece's folder, as `png_bytes` takes it; its path."""
        return atomic_write(self.folder / name, png_bytes(picture))

    def exhibit(self, file: Path, size: tuple[int, int], alt: str, caption: tuple[str, ...]) -> Figure:
        """A picture file of (height, width) pixels as a figure of the page."""
        return Figure(file.relative_to(self.page).as_posix(), alt, size[1], size[0], caption)

    def figure(self, picture: Picture, caption: tuple[str, ...], *, suffix: str = "") -> Figure:
        """A picture, or with `suffix` a snapshot or film of it, as a figure of the page.

        A picture that failed says so in its caption.
        """
        assert picture.path is not None  # every take writes its pictures
        still = picture.path.relative_to(self.page).as_posix()
        width, height = picture.image().size
        state = () if picture.status == "ok" else (f"{picture.status}: {picture.reason}",)
        film = suffix == ".webp"
        return Figure(
            still.removesuffix(".png") + suffix if suffix else still,
            f"{'film of the picture' if film else 'picture'} optimized for {picture.target}",
            width,
            height,
            (*caption, *state),
            "animation" if film else "image",
            still if film else "",
        )


def short(value: float) -> str:
    """A measured number for a caption: three digits or the whole number, without powers of ten where it can be."""
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


Work: TypeAlias = Generator[Event, None, Section]


@dataclass(frozen=True)
class Piece:
    """One subject of the demo.

    name: of its folder and its anchor on the page. steps: picture-steps that it takes at most, for the progress of the
    whole. make: does the work and returns the section; where the network cannot serve, one with a note and no figures.
    """

    name: str
    title: str
    steps: int
    make: Callable[[Stage], Work]

    def section(
        self,
        *,
        text: tuple[str, ...] = (),
        figures: tuple[Figure, ...] = (),
        commands: tuple[str, ...] = (),
        note: str = "",
        columns: int = 4,
    ) -> Section:
        """A section under this piece's name and title."""
        return Section(self.name, self.title, text, figures, commands, note, columns)
