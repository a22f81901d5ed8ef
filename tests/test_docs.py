"""The documentation is true: its commands parse, its snippets run, its tables hold the code's own defaults.

Code blocks are marked by what they are: ```python runs, ```sh parses, ```target is read by the grammar, ```json is
compared with what is really printed.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import phosphene
from phosphene.audio.config import SoundReconstructConfig, SoundStyleConfig, SoundTextureConfig
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cli import main as command_line
from phosphene.examples.config import ScanConfig
from phosphene.features.audio_config import AudioConfig
from phosphene.models import AudioSpec, InputSpec
from phosphene.objectives import OBJECTIVES, REGULARIZERS, parse
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig, SignalConfig, StyleConfig, TransformConfig
from phosphene.signals import SIGNALS
from phosphene.transforms import PRESETS

ROOT = Path(__file__).resolve().parent.parent
GENERATED = {"commands.md", "benchmarks.md"}  # written by programs; what stands there alone is not explained to anyone
PAGES = {path.name: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]}
WRITTEN = {name: text for name, text in PAGES.items() if name not in GENERATED}
CONFIGS = (
    SignalConfig, TransformConfig, OptimizerConfig, RunConfig, RenderConfig, StyleConfig, ScanConfig, InputSpec,
    AudioSpec, AudioConfig, CardConfig, ProbeConfig, SoundTextureConfig, SoundStyleConfig, SoundReconstructConfig,
)  # fmt: skip
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS_WEIGHTS = re.compile(r"""load\("[^"]+"\)""")  # a network by name without weights="random"


def blocks(text: str, language: str) -> list[str]:
    """Contents of the fenced code blocks of one language."""
    return [body for word, body in FENCE.findall(text) if word == language]


def code_in(text: str) -> str:
    """Everything that is set as code: fenced blocks and `spans`."""
    fenced = [body for _, body in FENCE.findall(text)]
    return "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", FENCE.sub("", text))])


def with_blocks(language: str) -> list[str]:
    """Names of the pages that have a block of this language."""
    return [name for name, text in PAGES.items() if blocks(text, language)]


def rows_under(heading: str, text: str) -> Iterator[list[str]]:
    """Cells of the first table whose header starts with `heading`."""
    _, found, rest = text.partition(f"\n{heading}")
    assert found, f"no table {heading}"
    for line in rest.splitlines()[2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.fixture(scope="module")
def command_reference() -> ModuleType:
    """tools/command_reference.py as a module."""
    spec = importlib.util.spec_from_file_location("command_reference", ROOT / "tools" / "command_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- the command reference ---


def test_the_command_reference_is_current(command_reference: ModuleType) -> None:
    assert command_reference.is_current(), "run: python tools/command_reference.py"


def test_the_command_reference_does_not_depend_on_the_terminal(
    command_reference: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    narrow = command_reference.reference()
    monkeypatch.setenv("COLUMNS", "300")
    assert command_reference.reference() == narrow


def test_a_stale_command_reference_is_noticed_and_rewritten(
    command_reference: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, text = tmp_path / "commands.md", PAGES["commands.md"]
    monkeypatch.setattr(command_reference, "DOCUMENT", page)
    monkeypatch.setattr(command_reference.is_current, "__defaults__", (page,))
    monkeypatch.setattr(command_reference, "reference", lambda: text)
    page.write_text(text.replace("--seed", "--sead"))
    assert command_reference.main(["--check"]) == 1
    assert command_reference.main([]) == 0
    assert command_reference.main(["--check"]) == 0
    assert command_reference.main(["--chekc"]) == 2


def test_help_lists_exactly_the_commands_of_the_reference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    assert command_line.run(["--help"]) == 0
    shown = set(re.findall(r"^\W{1,2}([a-z]+) {2,}", capsys.readouterr().out, re.MULTILINE))
    assert shown == set(re.findall(r"^## phosphene (\w+)$", PAGES["commands.md"], re.MULTILINE))
    assert len(shown) >= 7


# --- everything that exists is explained ---


def names_to_explain() -> list[str]:
    words = [*phosphene.__all__, *SIGNALS, *OBJECTIVES, *REGULARIZERS, *PRESETS]
    return sorted({*words, *(field.name for kind in CONFIGS for field in dataclasses.fields(kind))})


@pytest.mark.parametrize("name", names_to_explain())
def test_every_name_is_explained(name: str) -> None:
    explained = "\n".join(code_in(text) for page, text in WRITTEN.items() if page != "README.md")
    assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", explained), f"{name} stands on no page of docs/"


@pytest.mark.parametrize("kind", CONFIGS, ids=lambda kind: kind.__name__)
def test_tables_of_settings_hold_every_field_and_its_default(kind: Any) -> None:
    page = next(text for text in WRITTEN.values() if re.search(rf"^##+ .*`{kind.__name__}`$", text, re.MULTILINE))
    section = re.split(rf"^##+ .*`{kind.__name__}`$", page, maxsplit=1, flags=re.MULTILINE)[1]
    table = {row[0].strip("`"): row[1].strip("`") for row in rows_under("| field | default |", section)}
    assert table == {
        field.name: f"{type(default).__name__}()" if dataclasses.is_dataclass(default) else literal(default)
        for field, default in ((field, getattr(kind(), field.name)) for field in dataclasses.fields(kind))
    }


def literal(value: Any) -> str:
    """A default as Python that a reader would write, with double quotes."""
    return json.dumps(value) if isinstance(value, str) else repr(value)


def test_the_table_of_presets_is_that_of_the_code() -> None:
    rows = list(rows_under("| range |", WRITTEN["transforms.md"]))
    names = [field.name for field in dataclasses.fields(PRESETS["none"])]
    assert [row[0].strip("`") for row in rows] == names
    columns = zip(PRESETS.values(), list(zip(*rows, strict=True))[1:], strict=True)
    for preset, shown in columns:
        assert [float(cell) for cell in shown] == [getattr(preset, name) for name in names]


# --- everything that is shown works ---


@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_snippets_run(
    page: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\n".join(blocks(PAGES[page], "python"))
    if NEEDS_WEIGHTS.search(text):
        request.getfixturevalue("shared")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "snippets"}
    for number, body in enumerate(blocks(PAGES[page], "python"), 1):
        exec(compile(body, f"{page}, snippet {number}", "exec"), namespace)


def shell_lines() -> list[tuple[str, str]]:
    lines = [(page, line) for page, text in PAGES.items() for body in blocks(text, "sh") for line in body.splitlines()]
    return [(page, line) for page, line in lines if line.startswith("phosphene ")]


@pytest.mark.parametrize(("page", "line"), shell_lines())
def test_command_lines_parse(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command, bound, _ = command_line.build().parse_args(words, exit_on_error=False, print_error=False)
    group = words[0] in ("audio", "study")
    assert command.__name__ in ((words[1], "_".join(words[:2])) if group else words[:1])
    for target in bound.arguments.get("target", []):
        parse(target)


def test_make_targets_exist() -> None:
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for text in PAGES.values() for name in re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)}
    assert {"demo", "test"} <= named <= rules


@pytest.mark.parametrize(
    "line", [line for body in blocks(PAGES["objectives.md"], "target") for line in body.split("\n")]
)
def test_targets_are_read_and_written_back(line: str) -> None:
    if line:
        tree = parse(line)
        assert parse(str(tree)) == tree


def test_the_json_of_render_is_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shown,) = blocks(PAGES["pictures.md"], "json")
    monkeypatch.chdir(tmp_path)
    flags = ["--weights", "random", "--size", "64", "--steps", "1", "--json", "--quiet"]
    command_line.run(["render", "squeezenet1_1", "features.3:1", *flags])
    printed = json.loads(capsys.readouterr().out)
    example = json.loads(shown)
    assert list(example) == list(printed)
    assert [list(result) for result in example["results"]] == [list(result) for result in printed["results"]]
    recipe = json.loads((tmp_path / printed["results"][0]["path"]).with_suffix(".json").read_text())
    parts = " ".join(row[0] for row in rows_under("| part |", PAGES["pictures.md"]))
    assert re.findall(r"`(\w+)`", parts) == list(recipe)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_exist(page: str) -> None:
    folder = ROOT if page == "README.md" else ROOT / "docs"
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", PAGES[page])):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        file = folder / path if path else folder / page
        assert file.is_file(), f"{page} links to {link}, which does not exist"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page} links to {link}: no such heading"


def anchors(text: str) -> set[str]:
    """The anchors that a Markdown viewer gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_pages_are_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)", PAGES["README.md"]))
    assert {*PAGES} - {"README.md"} <= linked


def test_pictures_are_small_enough_for_a_page() -> None:
    for path in (ROOT / "docs" / "pictures").iterdir():
        assert path.stat().st_size <= 1_200_000, path.name
