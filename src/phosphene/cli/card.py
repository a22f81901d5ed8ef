"""`phosphene card`: a unit from every side on one page, or many units as a book."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter

from phosphene.cards.book import write_book
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.making import Card, carding
from phosphene.cli.console import Meter, Screen, relative
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet, RunFlags, pixels
from phosphene.cli.probe import Ask, Data, IndexFolder, ProbeFlags, one_target
from phosphene.cli.scan import ScanMeter, Seed
from phosphene.examples.scan import Scanned
from phosphene.features.events import Notice, Progress
from phosphene.files import safe_name
from phosphene.recipe import RenderConfig, RunConfig

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
        folder each in it, and index.html lists them.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    name, text = one_target((model, *target), screen, "phosphene card")
    network = opened.open(name)
    work = carding(
        network, text, data, index=index, ask=ask, config=config, probes=probes,
        render=RenderConfig(size=pixels(size)), run=run, seed=seed,
    )  # fmt: skip
    book = ".." in text
    made: list[tuple[Card, Path]] = []
    show = Show(screen)
    try:
        for event in work:
            if isinstance(event, Card):
                folder = out / safe_name(event.subject.target) if book else out
                made.append((event, event.save(folder)))
                screen.result(f"{relative(made[-1][1])}  {event.name}  {event.probe.sentence}")
            else:
                show(event)
    finally:
        show.close()
        if book and made:  # also when interrupted: what is there can be read
            cover = write_book([(one, page.relative_to(out).as_posix()) for one, page in made], out)
            screen.result(f"{relative(cover)}  the book of {len(made)} cards")
    if as_json:
        results = [{"path": relative(page), **one.data()} for one, page in made]
        screen.json({"book": relative(out / "index.html") if book else None, "results": results})
    return 0


class Show:
    """The stages of a card on stderr, each with a bar of its own."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.bar: ScanMeter | Meter | None = None

    def __call__(self, event: Scanned | Progress | Notice) -> None:
        """Show an event."""
        if isinstance(event, Notice):
            self.close()
            self.screen.say(event.text)
        elif isinstance(event, Scanned):
            bar = self.bar if isinstance(self.bar, ScanMeter) else self._open(ScanMeter(self.screen))
            bar.show(event)
        else:
            meter = self.bar if isinstance(self.bar, Meter) else self._open(Meter(self.screen))
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
