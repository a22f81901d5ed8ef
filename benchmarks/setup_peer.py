"""Make the environment of the benchmark's peer at benchmarks/.peer, with pip alone.

Both sides have to run on the same torch, or the benchmark compares two torches. So the new environment looks into
the packages of the Python that runs this script (a `.pth` line: Python's `site` module), and pip adds what is
missing: torch-lucent, kornia and their small dependencies. `--fresh` shares nothing and installs torch anew.

Departures: venv's own `--system-site-packages` cannot do this, because from inside one environment it shares the base
Python's packages and not that environment's.

    python benchmarks/setup_peer.py            # then: benchmarks/.peer/bin/python benchmarks/peer_lucent.py --help
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEER = HERE / ".peer"
REQUIREMENTS = HERE / "requirements-peer.txt"
CHECK = "import sys; sys.path.insert(0, sys.argv[1]); import peer_lucent; peer_lucent.load_lucent()"


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def make(folder: Path, *, fresh: bool) -> Path:
    """Make or renew the environment and return its interpreter. Raises CalledProcessError where pip or the check fails.

    An environment that is there already is emptied first: what an earlier version left could hide a missing package.
    """
    if folder.exists() and not (folder / "pyvenv.cfg").exists():
        raise SystemExit(f"{folder.name} exists and is not an environment; move it away or give another --folder")
    venv.create(folder, clear=True, with_pip=True)
    (folder / ".gitignore").write_text("*\n")  # the environment hides itself from git, wherever it is put
    python = python_of(folder)
    if not fresh:
        share(python)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS], check=True)
    subprocess.run([python, "-W", "error::ImportWarning", "-c", CHECK, HERE], check=True)
    return python


def share(python: Path) -> None:
    """Let the environment of `python` see the packages of the Python that runs this script, after its own."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()
    ours = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    Path(own, "shared.pth").write_text("\n".join(ours) + "\n")


def main() -> None:
    """Make the environment and print its interpreter's path."""
    parser = argparse.ArgumentParser(description="Make the environment of the benchmark's peer (torch-lucent 0.1.8).")
    parser.add_argument("--folder", type=Path, default=PEER, help="where to make it (default: benchmarks/.peer)")
    parser.add_argument("--fresh", action="store_true", help="share no package with this Python: install torch anew")
    options = parser.parse_args()
    try:
        python = make(options.folder, fresh=options.fresh)
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"the peer's environment was not made: a command ended with status {error.returncode}"
        ) from None
    sys.stdout.write(f"{python}\n")


if __name__ == "__main__":
    main()
