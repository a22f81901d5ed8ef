"""`phosphene style`: the content of one picture in the style of another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from phosphene.cli.commission import Pictures, check_outputs, check_settings, commissioned, masked, numbered
from phosphene.cli.console import Screen, relative
from phosphene.cli.options import Flat, Json, Network, NetworkFlags, Quiet, numbers
from phosphene.cli.render import INTERRUPTED, stopping
from phosphene.cli.watch import Film, PaintMeter, Preview
from phosphene.contact import contact_sheet
from phosphene.errors import EXIT_FAILED, UsageError
from phosphene.files import atomic_write, ensure_folders
from phosphene.media import png_bytes, read_picture, to_tensor
from phosphene.models import DEFAULT_MODEL, Model, load
from phosphene.recipe import RunConfig, StyleConfig
from phosphene.reports.style import write_report
from phosphene.style.api import Finished, default_judge, default_model
from phosphene.style.many import Begun, Commission, Done, Failed, Habits, Skipped, Studio
from phosphene.style.method import method
from phosphene.style.network import normalized_by_folder
from phosphene.style.painting import summary
from phosphene.style.transfer import StepDone, Transfer
from phosphene.style.walk import FrameBegun, Walk

NO_JUDGE = "none"
ROW = 5  # paintings of a sweep that lie side by side: more take rows
FORMATS = Literal["png", "tif", "jpg", "webp", "avif"]

StyleFlags = Annotated[StyleConfig, Flat, Parameter(group="Picture")]


def style(
    content: Path,
    style_: Annotated[tuple[Path, ...], Parameter(name="STYLE")],
    /,
    *,
    settings: StyleFlags = StyleConfig(),
    style_weights: Annotated[str | None, Parameter(group="Picture")] = None,
    mask: Annotated[tuple[str, ...], Parameter(group="Regions")] = (),
    style_mask: Annotated[tuple[str, ...], Parameter(group="Regions")] = (),
    leave: Annotated[str | None, Parameter(group="Regions")] = None,
    each: Annotated[bool, Parameter(negative="", group="Picture")] = False,
    sweep: Annotated[str | None, Parameter(group="Picture")] = None,
    model: Annotated[str | None, Parameter(group="Network")] = None,
    opened: NetworkFlags = Network(),
    normalize: Annotated[Path | None, Parameter(group="Network")] = None,
    judge: Annotated[str | None, Parameter(group="Network")] = None,
    device: Annotated[str, Parameter(group="Machine")] = RunConfig.device,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Parameter(group="Machine")] = RunConfig.precision,
    memory: Annotated[float | None, Parameter(group="Machine")] = RunConfig.memory,
    checkpoint_every: Annotated[int, Parameter(group="Machine")] = RunConfig.checkpoint_every,
    out: Annotated[Path, Parameter(group="Output")] = Path("out"),
    format: Annotated[FORMATS, Parameter(group="Output")] = "png",
    bits: Annotated[Literal[8, 16] | None, Parameter(group="Output")] = None,
    preview: Annotated[Path | None, Parameter(group="Output")] = None,
    animate: Annotated[bool, Parameter(negative="", group="Output")] = False,
    walk: Annotated[int | None, Parameter(group="Output")] = None,
    resume: Annotated[bool, Parameter(negative="", group="Output")] = False,
    again: Annotated[bool, Parameter(negative="", group="Output")] = False,
    report: Annotated[bool, Parameter(group="Output")] = True,
    metadata: Annotated[bool, Parameter(group="Output")] = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Style transfer: the content of one picture in the style of another, or of several.

    Examples: `phosphene style photo.jpg painting.jpg`, `... photo.jpg monet.jpg munch.jpg --style-weights 2,1`,
    `... photos/ paintings/` (each with each), `... photo.jpg painting.jpg --sweep content_weight=0.005,0.02,0.1`.

    Parameters
    ----------
    content
        The picture that is painted anew, or a folder: each picture in it.
    style_
        The pictures whose style it takes, blended; or a folder: one painting for each picture in it.
    style_weights
        Shares of the styles, joined by commas, such as 2,1.
    mask
        Where a style paints, N=FILE: white in that picture is for style N; N=FILE@COLOR takes one color of it.
    style_mask
        Which part of a style picture counts, N=FILE, in the same way.
    leave
        FILE (or FILE@COLOR): where the content stays as it is.
    each
        One painting for each style, in place of a blend.
    sweep
        OPTION=A,B,C: one painting for each value, and a sheet of all; values with commas are joined by semicolons.
    model
        The network: a name (see `phosphene models`), `timm:NAME` or `package.module:factory`. When left out,
        vgg19_cd16x where its weights are here, else minivgg.
    normalize
        A folder of pictures by which the mean activation of each channel is brought to 1.
    judge
        A network that measures the result and is not optimized, or none; chosen among those here when left out.
    device
        auto, cpu, cuda, cuda:1 or mps.
    precision
        Arithmetic inside the network: auto takes what is fast and safe on the device.
    memory
        Gigabytes that may be used; what is free when left out. What does not fit is cut into tiles, without any loss.
    checkpoint_every
        Steps between checkpoints for --resume; 0 writes none.
    out
        Folder for the paintings, or the file of a single one (.png, .tif, .jpg, .webp, .avif).
    format
        Format of the files in a folder.
    bits
        8 or 16 bits a channel; those of the content, where the format has them, when left out.
    preview
        A file that shows the picture as it is, rewritten every two seconds.
    animate
        Also write the optimization as a film, NAME.film.webp.
    walk
        Also paint so many frames from nearly the content to nearly the style alone, as a film, NAME.walk.webp.
    resume
        Go on with paintings that were interrupted.
    again
        Make also what is there already.
    report
        Write NAME.report.html and NAME.report.json beside each painting.
    metadata
        Write the recipe into the pictures and beside them.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    pictures = Pictures(
        numbers(style_weights, "--style-weights") or (),
        numbered(mask, "--mask"),
        numbered(style_mask, "--style-mask"),
        None if leave is None else masked(leave),
    )
    commissions = commissioned(content, style_, settings, out, format, each=each, sweep=sweep)
    check_outputs(commissions, pictures, bits, preview)
    if walk is not None and len(commissions) > 1:
        raise UsageError(f"--walk is for one painting, and {len(commissions)} are asked for")
    watched = None if preview is None else Preview(preview)
    if len(commissions) == 1:
        pictures.read(commissions[0])  # a slip in a file is told before a large network is loaded
    name, network = open_network(model, opened, screen)
    check_settings(commissions, network)
    if normalize is not None:
        network = normalized_by_folder(network, method(settings, network)[0], normalize)
    run = RunConfig(device, precision, memory=memory, checkpoint_every=checkpoint_every)
    path = None
    if walk is not None:
        path = Walk(network, pictures.read(commissions[0]), settings, run, frames=walk)
    studio = Studio(
        network,
        commissions,
        run,
        read=pictures.read,
        judge=open_judge(judge, name, screen),
        habits=Habits(resume, again, bits, metadata),
    )
    shown = show(studio, screen, preview=watched, film=Film() if animate else None, report=report)
    tell(shown, screen, single=len(commissions) == 1)
    if sweep is not None and shown.files:
        sheet = sweep_sheet(shown, sweep, out if not out.suffix else out.parent)
        screen.result(f"{relative(sheet)}  the sheet of all {len(shown.files)}")
    if shown.stopped:
        screen.say("interrupted; go on with --resume")
        return INTERRUPTED
    if path is not None:
        walked = take_walk(path, commissions[0].file, screen)
        if walked is None:
            return INTERRUPTED
        screen.result(f"{relative(walked)}  the walk from content to style, {walk} frames")
    return 0 if shown.sound else EXIT_FAILED


@dataclass
class Shown:
    """What came of some commissions, as it comes."""

    entries: list[dict[str, Any]]
    files: list[Commission]
    failed: list[Failed]
    notes: set[str]
    stopped: bool = False
    unsound: int = 0

    @property
    def sound(self) -> bool:
        """Whether every painting is there and shows something."""
        return not self.failed and not self.unsound


def open_network(name: str | None, opened: Network, screen: Screen) -> tuple[str, Model]:
    """The network that is optimized; one that nobody named is said."""
    if name is not None:
        return name, opened.open(name)
    chosen = default_model()
    size = (
        "the small network inside phosphene" if chosen == DEFAULT_MODEL else "a VGG-19 with a sixteenth of its weights"
    )
    screen.say(f"{chosen}, {size}; another with --model NAME (phosphene models lists them)")
    return chosen, opened.open(chosen)


def open_judge(name: str | None, optimized: str, screen: Screen) -> Model | None:
    """The network that measures; one that nobody named is said."""
    if name == NO_JUDGE:
        return None
    chosen = name if name is not None else default_judge(optimized)
    if chosen is None:
        screen.say("no judge: no other network is on this machine")
        return None
    if name is None:
        screen.say(f"judged by {chosen}; another with --judge NAME, none with --judge {NO_JUDGE}")
    judge = load(chosen)
    judge.check_color("a painting")
    return judge


def show(studio: Studio, screen: Screen, *, preview: Preview | None, film: Film | None, report: bool) -> Shown:
    """Carry out some commissions and show them as they come."""
    shown = Shown([], [], [], set())
    transfer: Transfer | None = None
    with PaintMeter(screen) as meter, stopping(studio) as stopped:
        for event in studio:
            if isinstance(event, Begun):
                place = event.commission.file.parent  # here, where all that could be refused was looked at
                ensure_folders(place) if preview is None else ensure_folders(place, preview.file.parent)
                transfer = event.painter.transfer
                announce(event, screen, shown)
                meter.begin(event.commission.file.name)
            elif isinstance(event, StepDone) and transfer is not None:
                meter.show(event, transfer)
                if preview is not None:
                    preview.show(transfer)
                if film is not None:
                    film.show(transfer)
            elif isinstance(event, Done):
                done(event, screen, shown, film=film, report=report)
            elif isinstance(event, Skipped):
                screen.say(f"{relative(event.commission.file)} is there already; --again makes it anew")
                shown.entries.append({"path": relative(event.commission.file), **summary(event.recipe)})
                shown.files.append(event.commission)
            elif isinstance(event, Failed):
                if len(studio.commissions) == 1:
                    raise event.error
                screen.fail(f"{event.commission.file.name}: {event.error}")
                shown.failed.append(event)
    shown.stopped = bool(stopped)
    return shown


def take_walk(walk: Walk, file: Path, screen: Screen) -> Path | None:
    """Carry out a walk and write its film; None when Ctrl-C ended it early."""
    film = Film()
    transfer: Transfer | None = None
    with PaintMeter(screen) as meter, stopping(walk) as stopped:
        for event in walk:
            if isinstance(event, FrameBegun):
                transfer = event.painter.transfer
                screen.say(f"frame {event.number}/{event.of}: content weight {event.weight:.3g}")
                meter.begin(f"frame {event.number}/{event.of}")
            elif isinstance(event, StepDone) and transfer is not None:
                meter.show(event, transfer)
            elif isinstance(event, Finished):
                film.add(event.painting.pixels)
    if stopped:
        screen.say("interrupted; the walk was not written")
        return None
    return film.write(file.with_name(f"{file.stem}.walk.webp"))


def announce(event: Begun, screen: Screen, shown: Shown) -> None:
    """Say what is about to be done, and what was chosen: each choice once."""
    painter, transfer = event.painter, event.painter.transfer
    inputs = painter.made.inputs
    pictures = filter(None, (inputs.content, *inputs.styles, inputs.start))
    notes = [f"{picture.name}: {note}" for picture in pictures for note in picture.notes]
    for note in (*painter.notes, *notes):
        if note not in shown.notes:
            screen.say(note)
            shown.notes.add(note)
    height, width = transfer.sizes[-1]
    scales = f"{len(transfer.sizes)} scales from {max(transfer.sizes[0])}" if len(transfer.sizes) > 1 else "one scale"
    a = transfer.arithmetic
    count = f"{event.number}/{event.of}  " if event.of > 1 else ""
    where = f", going on at step {len(transfer.history)}" if painter.resumed else ""
    screen.say(
        f"{count}{event.commission.file.name}: {width} x {height}, {scales}, {transfer.method.steps} steps, "
        f"{a.device} {a.precision}{where}"
    )
    if transfer.plan.words:
        screen.say(transfer.plan.words)


def done(event: Done, screen: Screen, shown: Shown, *, film: Film | None, report: bool) -> None:
    """Take down a painting that is written; its film and its report."""
    painting, file = event.painting, event.commission.file
    for note in painting.notes:
        if note not in shown.notes:
            screen.say(note)
            shown.notes.add(note)
    shown.entries.append({"path": relative(painting.path), **summary(painting.recipe)})
    shown.files.append(event.commission)
    if painting.status == "degenerate":
        shown.unsound += 1
        screen.fail(f"{file.name}: {painting.reason}")
    if film is not None:
        film.add(painting.pixels)
        film.write(file.with_name(f"{file.stem}.film.webp"))
    if report:
        write_report(painting, title=file.stem)


def tell(shown: Shown, screen: Screen, *, single: bool) -> None:
    """The results on stdout; with --json those of a single painting as one object."""
    if screen.as_json:
        failed = [{"path": relative(one.commission.file), "error": str(one.error)} for one in shown.failed]
        screen.json(shown.entries[0] if single and shown.entries else {"results": shown.entries, "failed": failed})
        return
    for entry in shown.entries:
        removed = entry["heldout"].get("style_removed")
        judged = "" if removed is None else f"  style distance removed {removed:.0%} ({entry['heldout']['network']})"
        total = entry["loss"]["total"]
        loss = "not finite" if total is None else f"{total:.4g}"
        screen.result(f"{entry['path']}  loss {loss}{judged}  {entry['seconds']:.0f} s")


def sweep_sheet(shown: Shown, sweep: str, folder: Path) -> Path:
    """The labelled sheet of a sweep."""
    pixels = [to_tensor(read_picture(commission.file)) for commission in shown.files]
    labels = []
    for commission, entry in zip(shown.files, shown.entries, strict=True):
        loss = entry["loss"]
        parts = [f"{name} {loss[name] or 0:.3g}" for name in ("content", "style")]
        labels.append([commission.label, *parts])
    columns = len(pixels) if len(pixels) <= ROW else None
    sheet = contact_sheet(pixels, labels, columns=columns, title=f"{shown.files[0].content.stem}\n{sweep}")
    return atomic_write(folder / "sweep.png", png_bytes(sheet))
