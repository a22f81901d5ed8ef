"""`phosphene card`: a unit from every side on one page, or many units as a book."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter

from phosphene.cards.book import Bookmaking, place_of
from phosphene.cards.card import Card
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.making import carding
from phosphene.cards.page import PAGE_FILE
from phosphene.cli.console import Meter, Screen, relative
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet, RunFlags, pixels
from phosphene.cli.probe import Ask, Data, IndexFolder, ProbeFlags, one_target
from phosphene.cli.scan import ScanMeter, Seed
from phosphene.examples.scan import Scanned
from phosphene.features.events import Notice, Progress
from phosphene.models import AudioSpec, Model
from phosphene.recipe import RenderConfig, RunConfig
from phosphene.study.doubts import verdict

B = TypeVar("B", ScanMeter, Meter)
CardFlags = Annotated[CardConfig, Parameter(name="*"), Parameter(group="Card")]


def card(
    model: str,
    target: tuple[str, ...] = (),
    /,
    *,
    data: Data = None,
    index: IndexFolder = None,
    ask: Ask = (),
    config: CardFlags = CardConfig(),
    probes: ProbeFlags = ProbeConfig(),
    size: Annotated[str | None, Parameter(group="Card")] = None,
    seed: Seed = 0,
    opened: NetworkFlags = Network(),
    run: RunFlags = RunConfig(),
    out: Annotated[Path, Parameter(group="Output")] = Path("out/card"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Show a unit from every side: optimized pictures or clips, examples, what it needs, what it is alike.

    Examples: `phosphene card conv4_2:9 --data textures:1000`,
    `phosphene card squeezenet1_1 features.12:0..63 --index out/scan --data photographs`,
    `phosphene card yamnet logit:Bird --data recordings`.

    Parameters
    ----------
    model
        Name of a network (see `phosphene models`), `timm:NAME`, or `package.module:factory`; `minivgg`, the small one
        inside phosphene, when it is left out.
    target
        A unit: LAYER:7 or logit:goldfish; LAYER:0..63 for a book of many.
    size
        Pixels of the optimized pictures, N or HEIGHTxWIDTH; the network's own input size when left out.
    out
        Folder for the page (index.html), card.json, sheet.png and the optimized pictures. The cards of a book have a
        folder each in it, and index.html lists them; those that are there already, made the same way, are kept.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    name, text = one_target((model, *target), screen, "phosphene card")
    network = opened.open(name)
    render = RenderConfig(size=pixels(size))
    if ".." in text:
        made = Bookmaking(
            network, text, data, out, index=index, ask=ask, config=config, probes=probes, render=render, run=run,
            seed=seed,
        )  # fmt: skip
        return bound(made, screen, as_json=as_json)
    work = carding(
        network, text, data, index=index, ask=ask, config=config, probes=probes, render=render, run=run, seed=seed
    )
    with Show(screen, network) as show:
        for event in work:
            if isinstance(event, Card):
                page = event.save(out)
                told(event, page, screen)
                results = [{"path": relative(page), **event.data()}]
            else:
                show(event)
    if as_json:
        screen.json({"book": None, "results": results})
    return 0


def bound(work: Bookmaking, screen: Screen, *, as_json: bool) -> int:
    """A book, made; interrupted, it lists what is done."""
    try:
        with Show(screen, work.model) as show:
            for event in work:
                if isinstance(event, Card):
                    told(event, work.folder / place_of(event.subject) / PAGE_FILE, screen)
                else:
                    show(event)
    except KeyboardInterrupt:
        if work.entries:
            screen.say(f"{counted(work)} done and listed in {relative(work.page)}; the same command goes on from there")
        raise
    screen.result(f"{relative(work.page)}  the book of {counted(work, '')}, {work.kept} of them there already")
    if as_json:
        results = [{"path": relative(work.folder / one.page), **one.data} for one in work.entries]
        screen.json({"book": relative(work.page), "results": results})
    return 0


def counted(work: Bookmaking, verb: str = " are") -> str:
    """How many cards a book has, in words."""
    count = len(work.entries)
    return f"{count} cards{verb}" if count != 1 else f"1 card{verb and ' is'}"


def told(made: Card, page: Path, screen: Screen) -> None:
    """A card on stdout."""
    doubts = f" {verdict(made.trust)}" if made.trust is not None else ""
    screen.result(f"{relative(page)}  {made.name}  {made.probe.sentence}{doubts}")


class Show:
    """The stages of a card on stderr, each with a bar of its own."""

    def __init__(self, screen: Screen, model: Model) -> None:
        self.screen = screen
        self.word = "clip" if isinstance(model.spec, AudioSpec) else "picture"
        self.bar: ScanMeter | Meter | None = None

    def __enter__(self) -> Show:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __call__(self, event: Scanned | Progress | Notice) -> None:
        """Show an event."""
        if isinstance(event, Notice):
            self.close()
            self.screen.say(event.text)
        elif isinstance(event, Scanned):
            bar = self.bar if isinstance(self.bar, ScanMeter) else self._open(ScanMeter(self.screen))
            bar.show(event)
        else:
            meter = self.bar if isinstance(self.bar, Meter) else self._open(Meter(self.screen, self.word))
            meter.show(event)

    def close(self) -> None:
        """End the bar that is shown, if any."""
        if self.bar is not None:
            self.bar.__exit__()
        self.bar = None

    def _open(self, bar: B) -> B:
        self.close()
        self.bar = bar
        return bar.__enter__()
