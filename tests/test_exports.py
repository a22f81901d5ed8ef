"""What `import phosphene` gives, and what it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import phosphene


def test_public_names_are_sorted_and_come_once() -> None:
    plain = [name for name in phosphene.__all__ if not name.startswith("__")]
    assert plain == sorted(set(plain))
    assert phosphene.__all__ == [*plain, "__version__"]


@pytest.mark.parametrize("name", phosphene.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(phosphene, name)
    assert value is getattr(phosphene, name)
    assert getattr(value, "__name__", name) == name  # no name stands for another thing
    assert name in dir(phosphene)


def test_type_checkers_see_exactly_the_public_names() -> None:
    tree = ast.parse(Path(phosphene.__file__).read_text(encoding="utf-8"))
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in guarded.body if isinstance(node, ast.ImportFrom)]
    seen = [alias.asname for node in imports for alias in node.names]
    assert sorted(map(str, seen)) == [name for name in phosphene.__all__ if name != "__version__"]


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'rendr'"):
        _ = phosphene.rendr


def test_importing_costs_next_to_nothing() -> None:
    heavy = {"torch", "torchvision", "numpy", "PIL", "cyclopts", "rich", "timm"}
    code = f"import sys, phosphene; phosphene.__version__; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_starts_without_torchvision() -> None:
    code = "import sys, phosphene.cli.main; print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_picture_is_made_without_torchs_compiler(tmp_path: Path) -> None:
    """Its import takes a second; torchvision and `torch.optim.Adam` bring it in."""
    arguments = ["render", "minivgg", "conv1_1:0", "--size", "16", "--steps", "1", "--device", "cpu", "--quiet"]
    code = (
        "import sys; from phosphene.cli.main import run\n"
        f"code = run({[*arguments, '--out', str(tmp_path)]!r})\n"
        "print(code, sorted({'torchvision', 'torch._dynamo', 'sympy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("0 []")
