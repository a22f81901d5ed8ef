"""The version of the package, written once in pyproject.toml."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The installed version; "0+source" when running from a source tree that is not installed."""
    try:
        return metadata.version("phosphene")
    except metadata.PackageNotFoundError:
        return "0+source"
