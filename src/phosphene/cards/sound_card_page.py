"""The page of a card of a unit that hears, with a player for every sound.

index.html  the page                  sheet.png       spectrograms of clips and examples on one sheet
card.json   the same in numbers       strip.jpg       a few of them in a row, for a book
                                      TARGET.*.wav    the optimized clips, each with its recipe
                                      sound-N.wav     the examples as the network heard them, their parts and changes
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from phosphene.cards.album import Album
from phosphene.cards.card import Shown
from phosphene.cards.page import CARD_FILE, KINDS, PAGE_FILE, STRIP_FILE, related, safe_id, scores, words_of
from phosphene.cards.probe_page import lead
from phosphene.cards.probe_page import sections as probe_sections
from phosphene.cards.sound_card import SoundCard
from phosphene.cards.sound_page import ABREAST, LOUD
from phosphene.cards.strip import strip
from phosphene.examples.sheet import ROWS
from phosphene.features.clip import Clip
from phosphene.files import atomic_write
from phosphene.media import png_bytes
from phosphene.reports import Figure, Page, Section
from phosphene.reports.html import html
from phosphene.reports.sound import sound_figure
from phosphene.version import version


def write_sound_card(card: SoundCard, folder: str | Path) -> Path:
    """Write the page of a card, its sounds, its sheet and its JSON into a folder; returns the page."""
    place, album = Path(folder), Album()
    text = album.bound(html(page(card, album, place)), place, card.subject.rate)
    atomic_write(place / "sheet.png", png_bytes(card.sheet()))
    atomic_write(place / STRIP_FILE, strip(card))
    file = atomic_write(place / PAGE_FILE, text.encode())
    # the last one: where it is, the card is whole
    atomic_write(place / CARD_FILE, (json.dumps(card.data(), ensure_ascii=False, indent=1) + "\n").encode())
    return file


def page(card: SoundCard, album: Album, folder: Path) -> Page:
    """The card as a page in a folder, where its clips are written; its other sounds are in the album."""
    unit, statistics = card.subject, card.statistics
    network = unit.eye.model.name
    sections = [
        *([clips(card, folder)] if card.pictures else []),
        *[row(card, name, word, album) for word, name in ROWS],
        *probe_sections(card.probe, album),
        related(card, album),
        scores(card, album),
    ]
    facts = (
        ("network", network),
        ("weights", unit.eye.model.weights.sha256[:12]),
        ("layer", unit.eye.layer),
        ("unit", str(unit.eye.unit)),
        ("hears", hears(card)),
        ("sounds scanned", str(statistics.count)),
        ("made by", f"phosphene {version()}"),
    )
    footer = ("`card.json` holds the numbers: key, score and second of every example, as the plain network has them.",)
    return Page(f"{card.name} of {network}", (lead(card.probe), LOUD), tuple(sections), facts, footer)


def hears(card: SoundCard) -> str:
    """How much of a sound the unit hears."""
    found = card.subject.index.find_layer(card.subject.eye.layer).field
    return "all of it" if found is None else f"{1000 * found.size[1] / card.subject.rate:.3g} ms"


def clips(card: SoundCard, folder: Path) -> Section:
    """What optimization finds."""
    figures: list[Figure] = []
    for kind, made in card.pictures.items():
        for number, one in enumerate(made):
            assert isinstance(one, Clip)  # of a card of sounds
            saved = one.save(folder / card.file(kind, number))
            state = () if one.status == "ok" else (f"{one.status}: {one.reason}",)
            caption = (KINDS[kind], f"score {card.score(one):.4g}, {one.loudness:.1f} LUFS", *state)
            figures.append(sound_figure(saved, folder, caption))
    return Section(
        "clips",
        "Optimized clips",
        text=(
            "Each began as faint noise and was changed until the unit answered as strongly as it could, or as weakly. "
            "No recording is involved, so whatever is heard in it was put there by the network: this is a cause.",
            "It is the extreme, and no sound of the world is like it. It does not say which of its parts occur in "
            "practice; the examples do.",
        ),
        figures=tuple(figures),
        columns=ABREAST,
    )


def row(card: SoundCard, name: str, word: str, album: Album) -> Section:
    """One row of the spectrum."""
    strongest = name == ROWS[0][1]
    text = [words_of(name, "sound")]
    if strongest:
        text += [
            "A bar marks what the unit hears at the place where it responds most; it plays alone beside it."
            if any(one.part for one in card.spectrum[name])
            else "The unit hears all of each.",
            "Examples show what goes with the unit in this data. What they have in common need not be what it answers "
            "to: the section on causes tells these apart.",
        ]
    figures = [figure for one in card.spectrum[name] for figure in example(card, one, album, parts=strongest)]
    return Section(
        safe_id(name), f"{word.capitalize()} examples", text=tuple(text), figures=tuple(figures), columns=ABREAST
    )


def example(card: SoundCard, one: Shown, album: Album, *, parts: bool) -> list[Figure]:
    """An example, and the part that the unit hears of it."""
    name, rate = PurePosixPath(one.example.key).name, card.subject.rate
    at = "" if one.example.seconds is None else f" at {one.example.seconds:.2f} s"
    _, first, _, end = one.field
    span = (first, end) if one.part else None
    found = [album.sound(one.pixels[:, 0], rate, name, (f"{one.example.score:.4g}{at}", name), span)]
    if parts and one.part:
        heard = (f"what it hears: {1000 * (end - first) / rate:.3g} ms", name)
        found.append(album.sound(one.pixels[:, 0, first:end], rate, f"what the unit hears of {name}", heard))
    return found
