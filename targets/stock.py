"""The targets that ship with the compiler."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def stock_names() -> tuple[str, ...]:
    """Names of the stock targets, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.hw")))


def stock_path(name: str) -> Path:
    """The file of a stock target."""
    return FOLDER / f"{name}.hw"
