"""The targets that ship: .hw files beside this one."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def stock_names() -> tuple[str, ...]:
    """Names that `--target` takes without a path, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.hw")))


def stock_path(name: str) -> Path:
    """The file of a stock target. Raises KeyError with the names there are."""
    if name not in stock_names():
        raise KeyError(f"no stock target {name!r}; the stock targets are {', '.join(stock_names())}")
    return FOLDER / f"{name}.hw"
