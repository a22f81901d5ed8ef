"""The architecture as a test: a walk over every import, so that the layers stay layers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "phosphene"

LAYERS = (
    (
        "errors",
        "jsondata",
        "recipe",
        "seeds",
        "files",
        "media",
        "metadata",
        "contact",
        "natural",
        "version",
        "textures",
    ),
    ("signals", "transforms", "objectives", "models"),
    ("engine", "display"),
    ("features", "style", "deepdream", "examples", "audio", "atlas"),
    ("study",),
    ("reports",),
    ("cards",),
    ("cli", "demo", "web", "__main__"),
)
GROUND, EDGES = 0, len(LAYERS) - 1
FREE_WITHIN = (GROUND, EDGES)  # where packages of one layer may import each other; the ground must stay free of cycles
LAYER_OF = {package: level for level, packages in enumerate(LAYERS) for package in packages}
OPTIONAL = ("timm", "fastapi", "uvicorn", "soundfile", "ray", "av", "datasets", "transformers")
MAX_LINES = 375


@dataclass(frozen=True)
class Import:
    """One imported name: the full dotted path, and whether the statement stands inside a function."""

    name: str
    line: int
    in_function: bool


@cache
def sources() -> dict[str, str]:
    """Every module of the package: {"phosphene.engine.optimize": its text}; packages as themselves."""
    texts = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = ("phosphene", *path.relative_to(SOURCE).with_suffix("").parts)
        texts[".".join(part for part in parts if part != "__init__")] = path.read_text(encoding="utf-8")
    return texts


parsed = cache(ast.parse)


@cache
def imports(module: str, text: str, is_package: bool = False) -> tuple[Import, ...]:
    """Every import statement of a module with relative ones resolved; `from a import b` counts as `a.b`."""

    def walk(node: ast.AST, in_function: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, in_function)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: None if is_package and node.level == 1 else -(node.level - is_package)]
            base = ".".join([*above, *filter(None, [node.module])]) if node.level else node.module
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno, in_function)
        inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    return tuple(walk(parsed(text), in_function=False))


def package_of(name: str) -> str:
    """The first part below the root: "engine" for `phosphene.engine.optimize.Step`, "" for the root itself."""
    return name.split(".")[1] if name.count(".") else ""


def layer_faults(texts: dict[str, str]) -> list[str]:
    faults = []
    for module, text in texts.items():
        own = package_of(module)
        if not own:
            continue  # the root may import anything, lazily
        if own not in LAYER_OF:
            faults.append(f"{module}: package {own!r} has no layer yet; give it one in LAYERS")
            continue
        for found in imports(module, text, is_package=any(other.startswith(module + ".") for other in texts)):
            if found.name.split(".")[0] != "phosphene":
                continue
            other = package_of(found.name)
            if other not in LAYER_OF:
                faults.append(f"{module}:{found.line} imports {found.name}, which is in no layer")
            elif LAYER_OF[other] > LAYER_OF[own]:
                faults.append(f"{module}:{found.line} imports {found.name}, which lies above it")
            elif LAYER_OF[other] == LAYER_OF[own] and other != own and LAYER_OF[own] not in FREE_WITHIN:
                faults.append(f"{module}:{found.line} imports {found.name}, its neighbor on the same layer")
    return faults


def print_faults(texts: dict[str, str]) -> list[str]:
    return [
        f"{module}:{node.lineno}"
        for module, text in texts.items()
        if LAYER_OF.get(package_of(module), GROUND) < EDGES
        for node in ast.walk(parsed(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def optional_faults(texts: dict[str, str]) -> list[str]:
    faults = []
    for dependency in OPTIONAL:
        found = {
            module: [one for one in imports(module, text) if one.name.split(".")[0] == dependency]
            for module, text in texts.items()
        }
        users = [module for module, ones in found.items() if ones]
        if len(users) > 1:
            faults.append(f"{dependency} is imported by {', '.join(users)}: one file is enough")
        faults += [
            f"{module}:{one.line} imports {dependency} outside a function"
            for module, ones in found.items()
            for one in ones
            if not one.in_function
        ]
    return faults


def ground_graph(texts: dict[str, str]) -> dict[str, set[str]]:
    """Which packages of the ground each of them imports; what it imports of itself is no matter here."""
    graph: dict[str, set[str]] = {}
    for module, text in texts.items():
        own = package_of(module)
        if LAYER_OF.get(own) == GROUND:
            found = {package_of(one.name) for one in imports(module, text) if one.name.startswith("phosphene.")}
            graph.setdefault(own, set()).update(found - {own})
    return graph


def test_imports_run_strictly_downwards() -> None:
    assert layer_faults(sources()) == []


def test_the_ground_has_no_import_cycle() -> None:
    TopologicalSorter(ground_graph(sources())).prepare()


def test_the_library_below_the_edges_is_silent() -> None:
    assert print_faults(sources()) == []


def test_optional_dependencies_are_imported_in_one_file_inside_a_function() -> None:
    assert optional_faults(sources()) == []


def test_no_file_outgrows_one_idea() -> None:
    long = {module: text.count("\n") for module, text in sources().items() if text.count("\n") > MAX_LINES}
    assert long == {}


def test_every_module_says_its_idea() -> None:
    silent = [name for name, text in sources().items() if text.strip() and not ast.get_docstring(parsed(text))]
    assert silent == []


@pytest.mark.parametrize(
    ("module", "statement", "fault"),
    [
        ("phosphene.files", "from phosphene.engine import optimize", "above"),
        ("phosphene.models.tap", "import phosphene.signals.base", "neighbor"),
        ("phosphene.models.tap", "from phosphene import objectives", "neighbor"),
        ("phosphene.models.tap", "from ..objectives import units", "neighbor"),
        ("phosphene.style.gatys", "def f():\n    from phosphene.examples import scan", "neighbor"),
        ("phosphene.engine.loop", "from phosphene import render", "no layer"),
        ("phosphene.gadgets", "", "give it one in LAYERS"),
    ],
)
def test_the_walk_sees_a_wrong_import(module: str, statement: str, fault: str) -> None:
    faults = layer_faults({module: statement})
    assert len(faults) == 1
    assert fault in faults[0]


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("phosphene", "from phosphene.cli import main"),
        ("phosphene.metadata", "from phosphene.media import png_bytes"),
        ("phosphene.models.tap", "from .model import Model"),
        ("phosphene.engine.loop", "from phosphene import signals, objectives"),
        ("phosphene.cli.serve", "from phosphene.web import app"),
    ],
)
def test_the_walk_allows_a_right_import(module: str, statement: str) -> None:
    assert layer_faults({module: statement}) == []


def test_a_package_resolves_its_own_dot() -> None:
    texts = {"phosphene.models": "from .tap import Tap\nfrom ..files import cache_dir", "phosphene.models.tap": ""}
    assert layer_faults(texts) == []
    assert [one.name for one in imports("phosphene.models", texts["phosphene.models"], is_package=True)] == [
        "phosphene.models.tap.Tap",
        "phosphene.files.cache_dir",
    ]


def test_the_walk_sees_a_print_and_allows_it_at_the_edge() -> None:
    assert print_faults({"phosphene.engine.loop": "def f():\n    print(1)"}) == ["phosphene.engine.loop:2"]
    assert print_faults({"phosphene.cli.main": "print(1)"}) == []


def test_the_walk_sees_a_stray_optional_import() -> None:
    assert "outside" in optional_faults({"phosphene.models.timm": "import timm"})[0]
    inside = "def f():\n    from ray import remote"
    assert optional_faults({"phosphene.atlas.pool": inside}) == []
    assert "one file" in optional_faults({"phosphene.atlas.pool": inside, "phosphene.atlas.run": inside})[0]


def test_a_cycle_on_the_ground_is_seen() -> None:
    texts = {"phosphene.media": "import phosphene.files", "phosphene.files": "import phosphene.media"}
    with pytest.raises(CycleError):
        TopologicalSorter(ground_graph(texts)).prepare()
